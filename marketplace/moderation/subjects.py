"""What can be reported, by type; the packages that have it say how it is found and hidden."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from marketplace.moderation import hiding
from marketplace.participants.models import Participant


class UnknownSubject(Exception):
    """There is no such thing, or not for whoever reports it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A subject that its reporter may see.

    Attributes:
        key: The row's primary key, as text.
        name: What the API calls it.
        about: Whose doing it is.
        excerpt: What it says.
    """

    key: str
    name: str
    about: Participant
    excerpt: str


Hide = Callable[[str, str, Participant, str, datetime], None]


@dataclass(frozen=True, slots=True)
class Reportable:
    """One type of subject.

    Attributes:
        type: Its name, as events have it.
        is_named_by: Says whether a text has the form of its public names.
        find: Returns what a reader means by a name; None where the reader sees no such thing.
        hide: Keeps it from sight, given key, name, who of staff, why, and when.
    """

    type: str
    is_named_by: Callable[[str], bool]
    find: Callable[[Participant, str], Found | None]
    hide: Hide | None = None

    def keep_from_sight(
        self, key: str, name: str, *, actor: Participant, reason: str, at: datetime
    ) -> None:
        """Hide one subject of this type.

        Raises:
            HiddenAlready: It is hidden.
        """
        if self.hide is not None:
            self.hide(key, name, actor, reason, at)
        else:
            hiding.hide(self.type, key, name, actor=actor, reason=reason, at=at)


_types: dict[str, Reportable] = {}


def register(reportable: Reportable) -> None:
    """Let subjects of a type be reported; its app does so once, when it is ready."""
    _types[reportable.type] = reportable


def of_type(name: str) -> Reportable:
    """Return a type by its name."""
    return _types[name]


def types() -> list[str]:
    """Return the names of all types."""
    return sorted(_types)


def find(reader: Participant, name: str) -> tuple[Reportable, Found]:
    """Return what *reader* means by a public name: an id, a handle, or `owner/name`.

    Raises:
        UnknownSubject: No such thing, or not the reader's to see.
    """
    for reportable in _types.values():
        if reportable.is_named_by(name):
            found = reportable.find(reader, name)
            if found is not None:
                return reportable, found
    raise UnknownSubject("there is no such thing, or not yours to see")


def named_by_id(prefix: str) -> Callable[[str], bool]:
    """Return the test for public ids of one type."""
    return lambda text: text.startswith(f"{prefix}_")
