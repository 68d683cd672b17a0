"""The app that composes assets and credits."""

from django.apps import AppConfig


class ReuseConfig(AppConfig):
    """Prices, uses, royalties and earnings."""

    name = "marketplace.reuse"
    label = "reuse"
