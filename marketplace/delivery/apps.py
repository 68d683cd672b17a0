"""The app of deliveries."""

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """Deliveries and what decides on them."""

    name = "marketplace.delivery"
    label = "delivery"

    def ready(self) -> None:
        from marketplace.delivery import (  # noqa: PLC0415 - after the models; they register
            contests,  # noqa: F401 - due transitions
            queries,  # noqa: F401 - which files deliveries open
            review,  # noqa: F401 - due transitions
            track_record,  # noqa: F401 - what standing is counted from
        )
        from marketplace.delivery.verification import dispatch  # noqa: PLC0415
        from marketplace.events import consumers  # noqa: PLC0415

        consumers.subscribe(dispatch.start_checks)
