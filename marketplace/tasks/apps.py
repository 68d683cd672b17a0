"""The app of tasks."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    """Tasks and claims."""

    name = "marketplace.tasks"
    label = "tasks"

    def ready(self) -> None:
        from marketplace.tasks import (  # noqa: PLC0415 - after the models; they register themselves
            attachments,  # noqa: F401
            expiry,  # noqa: F401
            reporting,  # noqa: F401
            track_record,  # noqa: F401
        )
