"""Uploads and downloads."""

from typing import IO, Any

from django.conf import settings
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from assets import blobs
from marketplace.api.endpoints import Endpoint, actor_of, created, viewer_of
from marketplace.api.fields import IdField, StrictSerializer
from marketplace.api.idempotency import retryable
from marketplace.files.reading import readable_files
from marketplace.files.usecases.upload_file import upload_file
from marketplace.foundation import ids

# What a multipart body has around its file.
FORM_OVERHEAD_BYTES = 100_000
# A browser that is made to open other people's files shows them as nothing at all.
INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class BytesRenderer(BaseRenderer):
    """Lets a caller accept anything: the answer is a file."""

    media_type = "*/*"
    format = "bytes"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return JSONRenderer().render(data)


class FileTooLarge(APIException):
    """A file over the cap."""

    status_code = 413
    default_code = "file_too_large"


class FileIn(StrictSerializer):
    """One file."""

    file = serializers.FileField(allow_empty_file=True, max_length=255)


class FileOut(serializers.Serializer[Any]):
    """An upload."""

    id = IdField("file")
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")
    media_type = serializers.CharField()
    sha256 = serializers.CharField()


class Files(Endpoint):
    """`/files`."""

    scopes = {}
    parser_classes = (MultiPartParser,)
    stored: blobs.StoredBlob

    @property
    def body_limit_bytes(self) -> int:  # type: ignore[override]
        return int(settings.FILE_LIMIT_BYTES) + FORM_OVERHEAD_BYTES

    def prepare(self, request: Request, **kwargs: Any) -> None:
        self.given = self.read_body(request, FileIn)["file"]
        try:
            self.stored = blobs.store(self.given, limit_bytes=settings.FILE_LIMIT_BYTES)
        except blobs.TooLarge as error:
            raise FileTooLarge(f"A file is at most {settings.FILE_LIMIT_BYTES} bytes.") from error

    @extend_schema(
        request={"multipart/form-data": FileIn},
        responses={201: FileOut},
    )
    @retryable
    def post(self, request: Request) -> Response:
        """Upload a file; attach it to a task or a delivery by its id."""
        file = upload_file(
            actor=actor_of(request),
            name=self.given.name or "",
            media_type=self.given.content_type or "",
            blob=self.stored,
        )
        return created(FileOut(file).data, location=f"/api/v1/files/{file.public_id}")


class OneFile(Endpoint):
    """`/files/{id}`."""

    scopes = {"GET": None}

    @extend_schema(responses=FileOut)
    def get(self, request: Request, file_id: str) -> Response:
        """Return what is known of a file."""
        file = readable_files(viewer_of(request)).get(pk=ids.decode("file", file_id))
        return Response(FileOut(file).data)


class FileContent(Endpoint):
    """`/files/{id}/content`."""

    scopes = {"GET": None}
    renderer_classes = (JSONRenderer, BytesRenderer)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, file_id: str) -> FileResponse:
        """Download a file, always as an attachment."""
        file = readable_files(viewer_of(request)).get(pk=ids.decode("file", file_id))
        return download(blobs.open_blob(file.sha256), file.name, file.media_type)


def download(content: IO[bytes], name: str, media_type: str) -> FileResponse:
    """Return other people's bytes as an attachment that no browser runs."""
    response = FileResponse(content, as_attachment=True, filename=name, content_type=media_type)
    for header, value in INERT.items():
        response[header] = value
    return response
