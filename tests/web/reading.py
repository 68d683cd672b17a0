"""Reading pages as a browser would: signed in, following forms, hearing what is said."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any, TypeAlias

from django.test import Client

from marketplace.participants.models import Participant

Answer: TypeAlias = Any  # what Django's test client gives; its stubs have several names for it
Typed: TypeAlias = Any  # a value of a form: text, lists of text, files

BACKEND = "django.contrib.auth.backends.ModelBackend"
VOID = {"input", "meta", "link", "br", "hr", "img"}


def signed_in(person: Participant) -> Client:
    """Return a browser in which *person* has signed in."""
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def text_of(response: Answer) -> str:
    """Return what a page says, without its markup, on one line."""
    html = response.content.decode()
    main = html[html.index("<main") : html.index("</main>")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


class Elements(HTMLParser):
    """The elements of a page: their tags, attributes, and the tags around them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes, _ in self.found if tag in tags]


def elements_of(response: Answer) -> Elements:
    return Elements(response.content.decode())


def links_of(response: Answer) -> list[str]:
    return [str(link["href"]) for link in elements_of(response).all("a")]


def next_link_of(response: Answer) -> str | None:
    """Return where the next page of a list is."""
    nexts = [a["href"] for a in elements_of(response).all("a") if a.get("rel") == "next"]
    return str(nexts[0]) if nexts else None


def download(client: Client, path: str) -> bytes:
    """Return the bytes that a download link leads to, which is always an attachment."""
    response: Answer = client.get(path)
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith("attachment")
    content = b"".join(response.streaming_content)
    response.close()
    return content


def value_of(response: Answer, name: str) -> str:
    """Return what the first field of this name holds."""
    fields = elements_of(response).all("input")
    return str(next(field["value"] for field in fields if field.get("name") == name))
