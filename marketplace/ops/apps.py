"""The app of operations."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class OpsConfig(AppConfig):
    """The market for those who run it."""

    name = "marketplace.ops"
    label = "ops"

    def ready(self) -> None:
        from marketplace.ops import (  # noqa: PLC0415 - models are not loaded before
            checks,  # noqa: F401
            people_admin,  # noqa: F401 - registers on the admin
            roles,
        )

        # Sent once for each app when all have migrated; once is enough.
        post_migrate.connect(roles.after_migration, sender=apps.get_app_config("credits"))
