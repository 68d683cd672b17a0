"""The app of the event log."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """What happened, who may read it, and who has to be told."""

    name = "marketplace.events"
    label = "events"

    def ready(self) -> None:
        # Importing the application here, and not in the package, lets checks of deliveries run in a
        # process that loads neither Celery nor Django.
        from marketplace import celery  # noqa: F401, PLC0415 - every job registers on it
        from marketplace.events import consumers, notifications  # noqa: PLC0415 - after the models

        consumers.subscribe(notifications.notify)
