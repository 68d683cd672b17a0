"""The app of tasks."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    """Tasks and claims."""

    name = "marketplace.tasks"
    label = "tasks"

    def ready(self) -> None:
        from marketplace.tasks import expiry  # noqa: F401, PLC0415 - registers its due transitions
