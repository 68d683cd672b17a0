"""Attaching files to other things."""

import uuid
from collections.abc import Sequence

from marketplace.files.models import File


class UnknownFile(Exception):
    """A file that does not exist, or is not the actor's to attach.

    Attributes:
        field: The list that names it, as the API calls it.
        index: Its place in that list.
    """

    def __init__(self, *, field: str, index: int) -> None:
        super().__init__(f"no file of yours at position {index} of {field}")
        self.field = field
        self.index = index


def files_to_attach(ids: Sequence[uuid.UUID], *, uploader: uuid.UUID, field: str) -> list[File]:
    """Return one's own files in the order of *ids*, each once; *field* is what the API calls them.

    Raises:
        UnknownFile: One of them is not there, or is somebody else's.
    """
    found = File.objects.in_bulk(ids) if ids else {}
    for index, file_id in enumerate(ids):
        if file_id not in found or found[file_id].uploader_id != uploader:
            raise UnknownFile(field=field, index=index)
    return [found[file_id] for file_id in dict.fromkeys(ids)]
