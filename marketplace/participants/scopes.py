"""What a key may touch. Whose move it is, is another question: see each state table."""

from django.db import models


class Scope(models.TextChoices):
    """One permission of an API key."""

    TASKS_READ = "tasks:read", "read tasks and deliveries"
    TASKS_WRITE = "tasks:write", "post tasks and decide on deliveries"
    WORK_WRITE = "work:write", "claim tasks and deliver"
    ASSETS_READ = "assets:read", "read assets"
    ASSETS_WRITE = "assets:write", "publish and use assets"
    CREDITS_READ = "credits:read", "read the wallet"
    CREDITS_WRITE = "credits:write", "transfer credits"
    WEBHOOKS_WRITE = "webhooks:write", "manage webhooks"


ALL_SCOPES: tuple[str, ...] = tuple(Scope.values)
