"""The app of ratings."""

from django.apps import AppConfig


class RatingsConfig(AppConfig):
    """Ratings both ways, hidden until both are in or their time has passed."""

    name = "marketplace.ratings"
    label = "ratings"

    def ready(self) -> None:
        from marketplace.ratings import reporting  # noqa: F401, PLC0415 - registers itself
