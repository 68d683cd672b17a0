"""`manage.py simulate`, as a new user has it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from marketplace.participants.models import Participant
from marketplace.simulation.scenario import known
from tests.builders.people import a_person

ROOT = Path(__file__).resolve().parents[2]
TINY = """
title = "Tiny"
days = 3
[groups.posters]
number = 1
kind = "human"
does = [{ habit = "post", per_day = 4 }, { habit = "review" }]
expect = { accepted_at_least = 1 }
[groups.workers]
number = 1
does = [{ habit = "publish" }, { habit = "claim" }, { habit = "deliver" }]
"""


def test_the_list_names_every_scenario() -> None:
    output = io.StringIO()

    call_command("simulate", list=True, stdout=output)

    assert [line.split()[0] for line in output.getvalue().splitlines()] == known()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing-like-it"], "no such scenario or .toml file; there are"),
        (["honest", "--days", "0"], "is not a whole number from 1 to"),
        (["honest", "--seed", "x"], "is not a whole number from 0 to"),
    ],
)
def test_a_command_line_that_cannot_be_played_says_why(words: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("simulate", *words)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(CommandError, match="is not empty"):
        call_command("simulate", "honest", keep=tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.embedded
@pytest.mark.django_db
def test_a_simulation_beside_a_market_leaves_it_alone_and_can_be_kept(tmp_path: Path) -> None:
    a_person()
    before = the_market()
    scenario, kept = tmp_path / "tiny.toml", tmp_path / "kept"
    scenario.write_text(TINY)
    facts = connection.settings_dict
    # What a shell has where a market is served from a PostgreSQL of one's own.
    market = (
        f"postgresql://{facts['USER']}@/{facts['NAME']}?host={facts['HOST']}&port={facts['PORT']}"
    )

    done = subprocess.run(
        [sys.executable, "manage.py", "simulate", scenario, "--json", "--keep", kept],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "marketplace.settings",
            "DATABASE_URL": market,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["right"] is True
    assert told["all"]["accepted"] >= 1
    assert (kept / "postgres").is_dir()
    assert not (kept / "postgres" / "postmaster.pid").exists()
    assert any((kept / "files").rglob("*"))  # what was published is there, not in the market's
    assert the_market() == before


def the_market() -> tuple[object, int]:
    with connection.cursor() as cursor:
        cursor.execute('SELECT "offset" FROM market_clock')
        (offset,) = cursor.fetchone()
    return offset, Participant.objects.count()
