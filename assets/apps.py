"""The app that owns assets, their versions and the blobs they are made of."""

from django.apps import AppConfig


class AssetsConfig(AppConfig):
    """Assets, immutable versions, their dependency graph and their files."""

    name = "assets"
    label = "assets"
    default_auto_field = "django.db.models.BigAutoField"
