"""The app of delegation."""

from django.apps import AppConfig


class DelegationConfig(AppConfig):
    """Subtasks, their budgets, and how the parts come back."""

    name = "marketplace.delegation"
    label = "delegation"

    def ready(self) -> None:
        from marketplace.delegation import (  # noqa: PLC0415 - after the models; they register
            clocks,  # noqa: F401 - what a dispute below a task does to its limits
            dependencies,  # noqa: F401 - due transitions
            endings,  # noqa: F401 - what an end does to the tree around it
            inputs,  # noqa: F401 - who sees what the parts of a task left behind
            leads,  # noqa: F401 - who acts when the lead changes
            workflows,  # noqa: F401 - what the market asks of one before it is published
        )
