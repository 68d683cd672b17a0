"""Names and migrations."""

from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.urls import URLPattern

from marketplace.web import urls

DRAWERS = {"utils", "helpers", "services", "managers", "misc", "common"}
PACKAGES = ("assets", "credits", "marketplace", "tests")


def test_no_module_is_a_drawer() -> None:
    modules = [
        path
        for package in PACKAGES
        for path in Path(settings.BASE_DIR, package).rglob("*.py")
        if path.stem in DRAWERS or path.parent.name in DRAWERS
    ]

    assert modules == []


def test_a_use_case_is_a_module_with_one_public_function_of_its_name() -> None:
    for path in Path(settings.BASE_DIR, "marketplace").glob("*/usecases/[a-z]*.py"):
        text = path.read_text()
        cases = text.count("\n@use_case\n")
        assert cases == 1, path
        assert f"\n@use_case\ndef {path.stem}(" in text, path


def test_no_two_pages_have_one_name() -> None:
    names = [route.name for route in urls.urlpatterns if isinstance(route, URLPattern)]

    assert [name for name, times in Counter(names).items() if times > 1 and name] == []


@pytest.mark.django_db
def test_models_have_the_migrations_they_need() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_every_column_that_refers_to_a_row_has_an_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.conrelid::regclass::text, a.attname
            FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
              AND NOT EXISTS (
                SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
              )
            """
        )
        without = set(cursor.fetchall())

    # Events are never deleted, and a feed is read along its own primary key.
    assert without == {("events_feed", "event_id")}
