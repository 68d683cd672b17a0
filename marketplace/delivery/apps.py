"""The app of deliveries."""

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """Deliveries and what decides on them."""

    name = "marketplace.delivery"
    label = "delivery"

    def ready(self) -> None:
        from marketplace.delivery import review  # noqa: F401, PLC0415 - registers due transitions
        from marketplace.delivery.verification import dispatch  # noqa: PLC0415
        from marketplace.events import consumers  # noqa: PLC0415

        consumers.subscribe(dispatch.start_checks)
