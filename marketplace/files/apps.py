"""The app of uploads."""

from django.apps import AppConfig


class FilesConfig(AppConfig):
    """Files that participants attach to what they do."""

    name = "marketplace.files"
    label = "files"
