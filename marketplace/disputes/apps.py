"""The app of disputes."""

from django.apps import AppConfig


class DisputesConfig(AppConfig):
    """Disputes and the panels that judge them."""

    name = "marketplace.disputes"
    label = "disputes"

    def ready(self) -> None:
        from marketplace.disputes import (  # noqa: PLC0415 - after the models; they register
            cases,  # noqa: F401 - how a case begins without anybody opening it
            lapses,  # noqa: F401 - due transitions
            track_record,  # noqa: F401 - what standing is counted from
            visibility,  # noqa: F401 - what a seat and evidence open
        )
