"""Uploaded files; the bytes are blobs that equal files share."""

from django.conf import settings
from django.db import models

from marketplace.foundation.clock import MarketNow
from marketplace.foundation.ids import encode, new_id


class File(models.Model):
    """One upload. Its bytes never change; uploading again makes another file of the same blob."""

    id = models.UUIDField(primary_key=True, default=new_id)
    uploader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=127)
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=MarketNow())

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """Return the id that the API shows."""
        return encode("file", self.id)
