"""Forms of the pages: each is a call of the API, typed by a person.

The form knows labels and how people write lists; what is valid, the call's own serializer decides.
Whatever refuses, the form keeps what was typed and says why: beside the field, or at its top.
"""

import hashlib
import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseRedirect
from rest_framework import serializers
from rest_framework.exceptions import ParseError

from assets import blobs
from credits import amounts
from marketplace.api.files import FileTooLarge
from marketplace.api.models import IdempotencyRecord
from marketplace.api.parsers import StrictJSONParser
from marketplace.api.problems import CATALOGUE
from marketplace.files.models import File
from marketplace.files.usecases.upload_file import upload_file
from marketplace.foundation.transactions import run_in_transaction
from marketplace.participants.models import Participant
from marketplace.web.pages import REFUSALS, actor_of, problem_of

MOST_HOURS = 90 * 24  # a task's deadline is no further
AMOUNT = "Write an amount such as 5 or 0.25."

# --- Fields --------------------------------------------------------------------------------------


class TextArea(forms.CharField):
    """Several lines of text, as typed; browsers send CRLF, texts of the market have LF."""

    widget = forms.Textarea

    def __init__(self, *, rows: int = 4, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)
        self.widget.attrs |= {"rows": rows}

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


class Lines(TextArea):
    """A list, one entry a line."""

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in super().clean(value).split("\n") if line.strip()]


class Words(forms.CharField):
    """A list, separated by commas."""

    def clean(self, value: Any) -> Any:
        return [word.strip() for word in super().clean(value).split(",") if word.strip()]


class JSONText(TextArea):
    """JSON, read as strictly as the API reads it; empty is None."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return None
        try:
            return StrictJSONParser().parse(io.BytesIO(text.encode()))
        except ParseError as error:
            raise forms.ValidationError(str(error.detail)) from error


class Amount(forms.CharField):
    """Credits, as a decimal number."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def clean(self, value: Any) -> Any:
        typed = super().clean(value)
        if typed:
            try:
                amounts.parse(typed)
            except amounts.MalformedAmount as error:
                said = AMOUNT if error.code == "not_a_decimal" else error.detail
                raise forms.ValidationError(said) from error
        return typed


class Hours(forms.DecimalField):
    """A length of time, typed in hours and given in seconds."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("min_value", 0)
        super().__init__(max_value=MOST_HOURS, decimal_places=2, **kwargs)

    def clean(self, value: Any) -> Any:
        hours = super().clean(value)
        return None if hours is None else int(hours * 3600)


class Percent(forms.DecimalField):
    """A share, typed in per cent and given as the API has it: `0.2`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, decimal_places=2, **kwargs)

    def clean(self, value: Any) -> Any:
        share = super().clean(value)
        return None if not share else f"{share / 100:f}"


class Moment(forms.DateTimeField):
    """A time in UTC."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    input_formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class Files(forms.FileField):
    """Any number of uploads, up to *most*."""

    widget = _ManyFiles

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        super().__init__(allow_empty_file=True, **kwargs)
        self.most = most

    def clean(self, data: Any, initial: Any = None) -> Any:
        given = [one for one in data or () if one]
        if len(given) > self.most:
            raise forms.ValidationError(f"At most {self.most} files.", code="too_many")
        return [super(Files, self).clean(one, initial) for one in given]


# --- Forms ---------------------------------------------------------------------------------------


class CallForm(forms.Form):
    """A form whose rules are those of a call of the API.

    Attributes:
        call: The serializer that reads the call.
        places: Members of the call, as paths, that stand in a field of another name.
        problem: The problem document of whatever refused, or None.
        given: What the call's serializer made of it, once it is valid.
    """

    call: ClassVar[type[serializers.Serializer[Any]]]
    places: ClassVar[Mapping[str, str]] = {}
    problem: dict[str, Any] | None = None
    given: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Several forms stand on one page; their fields' ids must differ, their names need not.
        kwargs.setdefault("auto_id", f"{type(self).__name__.lower()}-%s")
        super().__init__(*args, **kwargs)

    @property
    def status(self) -> int:
        """Return the status of a page that shows this form."""
        if self.problem is not None:
            return int(self.problem["status"])
        return 400 if self.is_bound and self.errors else 200

    def body(self) -> dict[str, Any]:
        """Return the call's body: what was filled in."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if name in self.call().fields and value not in (None, "", [])
        }

    def prepare(self) -> None:
        """Do what is slow and belongs before the transaction; may raise any of `REFUSALS`."""

    def clean(self) -> None:
        if self.errors:
            return
        read = self.call(data=self.body())
        read.is_valid(raise_exception=True)
        self.given = dict(read.validated_data)
        self.prepare()

    def accepts(self, request: HttpRequest) -> bool:
        """Say whether what was typed is valid; where it is not, the form says why."""
        try:
            return self.is_valid()
        except REFUSALS as error:
            self.refuse(problem_of(request, error))
            return False

    def refuse(self, problem: dict[str, Any]) -> None:
        """Show why something was refused: beside the fields that it names, and at the top."""
        self.problem = problem
        for error in problem.get("errors", ()):
            field, rest = self._place_of(error["pointer"].lstrip("/?"))
            if field in self.fields:
                self.add_error(field, f"{rest}: {error['detail']}" if rest else error["detail"])
            else:
                place = f"{error['pointer']}: " if error["pointer"] else ""
                self.add_error(None, f"{place}{error['detail']}")

    def _place_of(self, path: str) -> tuple[str, str]:
        """Return the field that a member of the call stands in, and where in the field it is."""
        for place, field in self.places.items():
            if path == place or path.startswith(f"{place}/"):
                return field, path[len(place) + 1 :]
        member, _, rest = path.partition("/")
        return member, rest

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the amounts of a refusal, in credits; they say it better than its detail."""
        if self.problem is None:
            return []
        known = CATALOGUE[self.problem["code"]]
        return [(fact.replace("_", " "), self.problem[fact]) for fact in known.credits]


def _token() -> str:
    return secrets.token_urlsafe(16)


class MoveForm(CallForm):
    """A form that changes something; sent twice, it does so once."""

    once = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput, initial=_token)
    heading: ClassVar[str] = ""
    button: ClassVar[str] = "Send"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a form: where to go next, and what to say there."""

    location: str
    message: str = ""


def attempt(
    request: HttpRequest, form: MoveForm, work: Callable[[], Done]
) -> HttpResponseRedirect | None:
    """Do what a form asks and go on to where it leads; None where it was refused, and says why.

    Transaction: one, around *work* and the record that it was done.
    """
    try:
        if not form.accepts(request):
            return None
        done = _once(request, form, work)
    except REFUSALS as error:
        form.refuse(problem_of(request, error))
        return None
    if done.message:
        messages.success(request, done.message)
    return HttpResponseRedirect(done.location)


def _once(request: HttpRequest, form: MoveForm, work: Callable[[], Done]) -> Done:
    """Do *work* unless this very form, with this content, was sent and done before.

    A second click waits on the record's unique index until the first has committed, and is led to
    where that went. The record is of the same kind as that of an `Idempotency-Key`.
    """
    if not form.cleaned_data["once"]:
        return run_in_transaction(work)
    digest = _digest(request)

    def attempted() -> Done:
        record, is_first = IdempotencyRecord.objects.get_or_create(
            scope=f"form:{actor_of(request).pk}", key=digest.hex(), defaults={"digest": digest}
        )
        if not is_first:
            return Done(record.headers["Location"])
        done = work()
        record.status, record.headers = 303, {"Location": done.location}
        record.save(update_fields=["status", "headers"])
        return done

    return run_in_transaction(attempted)


def _digest(request: HttpRequest) -> bytes:
    content = hashlib.sha256(request.path.encode())
    for name, values in sorted(request.POST.lists()):
        if name != "csrfmiddlewaretoken":
            content.update(repr((name, values)).encode())
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            content.update(repr((name, file.name)).encode())
            for chunk in file.chunks():
                content.update(hashlib.sha256(chunk).digest())
            file.seek(0)
    return content.digest()


# --- Uploads -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """An upload whose bytes are kept, before anybody knows of it."""

    name: str
    media_type: str
    blob: blobs.StoredBlob


def store(files: "Sequence[UploadedFile[Any]]") -> list[Stored]:
    """Keep the bytes of uploads; slow, so before the transaction.

    Raises:
        FileTooLarge: One is larger than the setting allows.
    """
    try:
        return [
            Stored(
                file.name or "",
                file.content_type or "",
                blobs.store(file, limit_bytes=settings.FILE_LIMIT_BYTES),  # type: ignore[arg-type] # reads like one
            )
            for file in files
        ]
    except blobs.TooLarge as error:
        raise FileTooLarge(f"A file is at most {settings.FILE_LIMIT_BYTES} bytes.") from error


def upload(actor: Participant, stored: Sequence[Stored]) -> list[File]:
    """Record stored uploads as *actor*'s files, in the transaction of what they are attached to."""
    return [
        upload_file(actor=actor, name=one.name, media_type=one.media_type, blob=one.blob)
        for one in stored
    ]
