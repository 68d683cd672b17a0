"""The app of standing."""

from django.apps import AppConfig


class StandingConfig(AppConfig):
    """Figures about participants, counted from what was settled."""

    name = "marketplace.standing"
    label = "standing"

    def ready(self) -> None:
        from marketplace.events import consumers  # noqa: PLC0415 - after the models
        from marketplace.standing import history  # noqa: PLC0415

        consumers.subscribe(history.count)
