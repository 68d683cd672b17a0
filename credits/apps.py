"""The ledger as a Django app."""

from django.apps import AppConfig


class CreditsConfig(AppConfig):
    """A double-entry ledger in PostgreSQL that knows nothing of tasks."""

    name = "credits"
    label = "credits"
