"""The app that composes assets and credits."""

from django.apps import AppConfig


class ReuseConfig(AppConfig):
    """Prices, uses, royalties and earnings."""

    name = "marketplace.reuse"
    label = "reuse"

    def ready(self) -> None:
        from marketplace.reuse import (  # noqa: PLC0415 - after the models; they register
            reporting,  # noqa: F401
            track_record,  # noqa: F401
        )
