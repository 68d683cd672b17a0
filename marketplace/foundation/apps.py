"""The app that owns the market's clock."""

from django.apps import AppConfig


class FoundationConfig(AppConfig):
    """What every other package stands on: ids, the clock, transactions."""

    name = "marketplace.foundation"
    label = "foundation"
