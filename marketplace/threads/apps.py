"""The app of messages."""

from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    """Messages about tasks."""

    name = "marketplace.threads"
    label = "threads"

    def ready(self) -> None:
        from marketplace.threads import (  # noqa: PLC0415 - after the models; they register
            queries,  # noqa: F401 - which files messages open
            reporting,  # noqa: F401 - how messages are reported
        )
