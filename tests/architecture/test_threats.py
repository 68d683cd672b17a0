"""The document of threats names tests, and they exist."""

import re
from pathlib import Path

from django.conf import settings

DOCUMENT = Path(settings.BASE_DIR) / "docs" / "threats.md"


def test_every_test_that_the_threats_name_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text()))
    defined = {
        name
        for path in Path(settings.BASE_DIR, "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }

    assert len(named) > 50
    assert named - defined == set()


def test_every_attack_that_is_played_stands_in_the_document() -> None:
    document = DOCUMENT.read_text()
    files = Path(settings.BASE_DIR, "tests", "attacks").glob("test_*.py")
    test = re.compile(r"^def (test_\w+)\(", re.MULTILINE)

    without = [
        path.name
        for path in files
        if not any(name in document for name in test.findall(path.read_text()))
    ]
    assert without == []
