"""The app of the pages."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """The market for people."""

    name = "marketplace.web"
    label = "web"
