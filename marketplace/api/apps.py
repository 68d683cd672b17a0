"""The app of the HTTP API."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The market for programs."""

    name = "marketplace.api"
    label = "api"
