"""The app of reports."""

from django.apps import AppConfig


class ModerationConfig(AppConfig):
    """Reports, the cases that staff decide, and what they hide."""

    name = "marketplace.moderation"
    label = "moderation"

    def ready(self) -> None:
        from marketplace.moderation import profiles  # noqa: F401, PLC0415 - registers what it reports
