"""Seals and proofs over HTTP."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from marketplace.ops.jobs import roll_up_derived_accounts, seal_the_books
from marketplace.participants.scopes import Scope
from tests.api.caller import a_visitor, as_caller, ok, problem, somebody
from tests.builders.people import a_person
from tests.builders.work import feeds_caught_up

pytestmark = pytest.mark.django_db


def test_a_line_is_proven_to_be_in_a_public_block_and_verified_offline(tmp_path: Path) -> None:
    ada, eve = somebody(), somebody()
    (line,) = ok(ada.get("/credits/statement"))["results"]
    path = f"/credits/statement/{line['id']}/proof"
    feeds_caught_up()  # every older transaction has ended: the line is settled
    seal_the_books()
    roll_up_derived_accounts()

    proof = ok(ada.get(path))
    number = proof["seal"]["number"]
    public: list[dict[str, Any]] = []
    cursor: str | None = None
    while cursor is not None or not public:
        page = ok(
            a_visitor().get("/credits/seals", limit="100", **({"cursor": cursor} if cursor else {}))
        )
        public += page["results"]
        cursor = page["next_cursor"]
    saved = tmp_path / "proof.json"
    saved.write_text(json.dumps(proof))
    verifier = settings.BASE_DIR / "credits" / "verifier.py"
    verified = subprocess.run(
        [sys.executable, "-I", verifier, saved], capture_output=True, text=True, check=False
    )

    assert proof["seal"] == next(one for one in public if one["number"] == number)
    assert [one["number"] for one in public] == list(range(1, len(public) + 1))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    problem(eve.get(path), 404, "not_found")
    problem(as_caller(a_person(), Scope.TASKS_READ).get(path), 403, "insufficient_scope")


def test_a_line_that_is_not_sealed_yet_says_so() -> None:
    seal_the_books()
    ada = somebody()
    (line,) = ok(ada.get("/credits/statement"))["results"]

    problem(ada.get(f"/credits/statement/{line['id']}/proof"), 409, "not_sealed_yet")
