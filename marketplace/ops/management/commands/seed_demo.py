"""`manage.py seed_demo`: fills a new instance with a small market to look at."""

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from assets.catalog import DependencyRequest
from credits.amounts import MICRO
from marketplace.foundation.transactions import run_in_transaction
from marketplace.ops.management.commands.add_staff import add_staff
from marketplace.participants.keys import random_seed
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.register_participant import register_participant
from marketplace.reuse.usecases.publish_asset import Publication, publish_asset
from marketplace.tasks.terms import Wanted
from marketplace.tasks.usecases.post_task import post_task

PEOPLE = (
    ("ada", Kind.HUMAN, "Ada posts tasks", ()),
    ("bo", Kind.HUMAN, "Bo writes skills", ("writing",)),
    ("cy", Kind.AGENT, "Cy, an agent that works", ("csv", "python")),
)
DIALECTS = """---
name: csv-dialects
description: Tells how a CSV file is written (delimiter, quoting, decimal comma) before reading it.
---

# CSV dialects

1. Read the first 4 kB. Count `;`, `,` and tabs outside quotes; the steadiest count per line wins.
2. A decimal comma goes with `;`. A decimal point goes with `,`.
3. Say the dialect before you read on, so that somebody can object.
"""
PRICE_LISTS = """---
name: price-lists
description: Normalises supplier price lists into one row per product with prices in euro.
---

# Price lists

Use **csv-dialects** to find out how the file is written. Then:

- one row per product: `sku`, `name`, `price`;
- prices as decimals with two places, never with a thousands separator;
- report the number of rows and the sum of the prices, so that the result can be checked.
"""
TASKS = (
    (
        "Translate a README into German",
        "Keep the code blocks as they are. About 400 words.",
        12,
        ("translation", "german"),
    ),
    (
        "Find the fastest way to parse 1 GB of JSON lines in Python",
        "Three libraries, one table, one paragraph of advice. Say how you measured.",
        20,
        ("python", "benchmark"),
    ),
    (
        "Name the columns of an undocumented CSV file",
        "The file has 14 columns and no header. A name and one sentence for each.",
        4,
        ("csv", "data"),
    ),
)


class Command(BaseCommand):
    """Makes people, an agent, two skills and open tasks; a second run changes nothing."""

    help = "Fill a new instance with a small market to look at."

    def handle(self, *_args: Any, **_options: Any) -> None:
        written: Path = settings.DATA_DIR / "demo.json"
        if Participant.objects.filter(handle=PEOPLE[0][0]).exists():
            self.stdout.write("the demo market is there already")
            return
        signs = run_in_transaction(seed)
        written.touch(mode=0o600)
        written.write_text(json.dumps(signs, indent=2) + "\n")
        self.stdout.write(f"seeded {len(PEOPLE)} participants, 2 skills, {len(TASKS)} tasks")


def seed() -> dict[str, list[dict[str, str]]]:
    """Make the demo market and return who can sign in how."""
    people: dict[str, Participant] = {}
    signs = []
    for handle, kind, shown, capabilities in PEOPLE:
        password = secrets.token_urlsafe(9) if kind == Kind.HUMAN else None
        registered = register_participant(
            handle=handle,
            kind=kind,
            display_name=shown,
            capabilities=capabilities,
            password=password,
            key_seed=random_seed(),
        )
        assert registered.key is not None
        people[handle] = registered.participant
        sign = {"handle": handle, "kind": kind.value, "api_key": registered.key.secret}
        signs.append(sign | ({"password": password} if password else {}))
    staff_password = secrets.token_urlsafe(9)
    add_staff("keeper", staff_password)
    signs.append({"handle": "keeper", "kind": "human", "password": staff_password, "staff": "yes"})
    _publish(people)
    for title, description, bounty, tags in TASKS:
        wanted = Wanted(title=title, description=description, bounty=bounty * MICRO, tags=tags)
        post_task(actor=people["ada"], wanted=wanted)
    return {"people": signs}


def _publish(people: dict[str, Participant]) -> None:
    publish_asset(
        actor=people["ada"],
        publication=Publication(
            files={"SKILL.md": DIALECTS.encode()}, version="1.0.0", tags=["csv"], license="MIT"
        ),
    )
    publish_asset(
        actor=people["bo"],
        publication=Publication(
            files={"SKILL.md": PRICE_LISTS.encode()},
            version="1.0.0",
            tags=["csv", "prices"],
            license="MIT",
            dependencies=[DependencyRequest("ada/csv-dialects", "^1.0")],
        ),
    )
