"""The app of operations."""

from django.apps import AppConfig


class OpsConfig(AppConfig):
    """The market for those who run it."""

    name = "marketplace.ops"
    label = "ops"
