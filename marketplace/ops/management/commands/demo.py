"""`manage.py demo`: plays the market's main job over HTTP against the running server, with curl.

A person posts "normalise this price list" with a real file and two checks; an agent claims it, uses
a published skill that rests on another author's, delivers, the checks pass, the person accepts. The
work leaves an asset, and a later task uses that asset and pays the agent. Everybody's statement and
the audit are printed. It can be played any number of times.
"""

import json
import secrets
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

FOLDER = settings.BASE_DIR / "demo"
PRICE_LIST = FOLDER / "supplier-prices.csv"
BOUNTY = "5"
PRICE = "0.2"
LATER_BOUNTY = "1"
LATER_PRICE = "0.1"
WAIT_SECONDS = 60
SCHEMA = {
    "type": "object",
    "required": ["totals", "products"],
    "properties": {
        "products": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["sku", "name", "price"],
                "properties": {
                    "sku": {"type": "string", "pattern": "^[A-ZÄÖÜ]{2}-[0-9]{4}$"},
                    "price": {"type": "string", "pattern": "^[0-9]+\\.[0-9]{2}$"},
                },
            },
        }
    },
}
# What the poster knows of the list from its supplier's invoice.
TOTALS = {"rows": 312, "sum": "45723.84"}
DIALECTS = """---
name: csv-dialects
description: Tells how a CSV file is written before anybody reads it.
---
# CSV dialects
Count the delimiters of the first lines; the steadiest wins. A decimal comma goes with `;`.
"""
PRICE_LISTS = """---
name: price-lists
description: Normalises supplier price lists into one row per product.
---
# Price lists
Find out how the file is written with **csv-dialects**. One row per product, prices with two places;
leave out page breaks and repeated headers; report the number of rows and their sum.
"""
PITFALLS = """# Pitfalls of supplier price lists
A page break is an empty line, and the header comes again after it. `12,-` means 12.00.
"""


class Player:
    """A participant that calls the API with curl."""

    def __init__(self, url: str, handle: str, key: str) -> None:
        self.url, self.handle, self.key = url, handle, key

    def call(self, method: str, path: str, body: object = None, *, file: Path | None = None) -> Any:
        """Make one call and return its JSON.

        Raises:
            CommandError: The service refused, or does not answer.
        """
        command = ["curl", "-sS", "-X", method, f"{self.url}{path}"]
        if self.key:
            command += ["-H", f"Authorization: Bearer {self.key}"]
        if method == "POST":
            command += ["-H", f"Idempotency-Key: {secrets.token_hex(12)}"]
        if file is not None:
            command += ["-F", f"file=@{file}"]
        elif body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        text = json.dumps(body) if body is not None else None
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        if done.returncode:
            raise CommandError(
                f"{self.url} does not answer ({done.stderr.strip()}): make run first"
            )
        answer = json.loads(done.stdout)
        if isinstance(answer, dict) and "request_id" in answer and "code" in answer:
            raise CommandError(f"{method} {path}: {answer['detail']} {answer['hint']}")
        return answer


class Command(BaseCommand):
    """Plays one settled task."""

    help = "Play one task from posting to settlement against the running server, with curl."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default=settings.PUBLIC_URL, help="where the server answers")

    def handle(self, *_args: Any, **options: Any) -> None:
        if shutil.which("curl") is None:
            raise CommandError("the demo calls the API with curl: install curl, then run it again")
        url: str = options["url"] + "/api/v1"
        self._step = 0
        poster, worker, author, basis = self._players(url)
        self._fill(poster, worker)
        skill = self._skills(author, basis)
        task = self._post(poster)
        self._claim(worker, task, skill)
        delivery = self._deliver(worker, task, skill)
        self._accept(poster, worker, delivery)
        left = self._leave(worker, task)
        later = self._do_later(poster, author, left)
        self._show(poster, worker, author, basis, [task, later])

    def _say(self, text: str) -> None:
        self._step += 1
        self.stdout.write(f"{self._step:>2}. {text}")

    # --- Who plays

    def _players(self, url: str) -> list[Player]:
        kept = settings.DATA_DIR / "demo-players.json"
        known = json.loads(kept.read_text()) if kept.is_file() else self._register(url, kept)
        return [Player(url, one["handle"], one["api_key"]) for one in known]

    def _register(self, url: str, kept: Path) -> list[dict[str, str]]:
        mark = secrets.token_hex(2)
        cast = (("paula", "human"), ("agent", "agent"), ("sam", "human"), ("dina", "human"))
        known = []
        for word, kind in cast:
            body = {"handle": f"{word}-{mark}", "kind": kind, "display_name": word.capitalize()}
            made = Player(url, "", "").call("POST", "/participants", body)
            known.append({"handle": made["handle"], "api_key": made["api_key"]})
            self._say(f"{made['handle']} ({kind}) registers and has {made['credits']['available']}")
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(known, indent=2) + "\n")
        return known

    def _fill(self, poster: Player, worker: Player) -> None:
        """Let the worker pay the poster back once earlier rounds have used up the wallet."""
        needed = float(BOUNTY) + float(LATER_BOUNTY)
        if float(poster.call("GET", "/credits")["available"]) < needed:
            amount = worker.call("GET", "/credits")["available"].split(".")[0]
            worker.call("POST", "/credits/transfers", {"to": poster.handle, "amount": amount})
            self._say(f"{worker.handle} pays {poster.handle} {amount}, for another round")

    # --- What happens

    def _skills(self, author: Player, basis: Player) -> str:
        mine = author.call("GET", f"/assets?owner={author.handle}")["results"]
        if mine:
            self._say(f"{mine[0]['asset']}@{mine[0]['latest']} is published already")
            return str(mine[0]["asset"])
        rests_on = basis.call(
            "POST",
            "/assets",
            {"files": [{"path": "SKILL.md", "content": DIALECTS}], "version": "1.0.0"},
        )["asset"]
        self._say(f"{basis.handle} publishes {rests_on}@1.0.0")
        published = author.call(
            "POST",
            "/assets",
            {
                "files": [{"path": "SKILL.md", "content": PRICE_LISTS}],
                "version": "1.0.0",
                "price": PRICE,
                "dependencies": [{"asset": rests_on, "constraint": "^1.0"}],
            },
        )
        self._say(f"{author.handle} publishes {published['asset']}@1.0.0 at {PRICE}, resting on it")
        return str(published["asset"])

    def _post(self, poster: Player) -> str:
        file = poster.call("POST", "/files", file=PRICE_LIST)
        task = poster.call(
            "POST",
            "/tasks",
            {
                "title": "Normalise this price list",
                "description": "One row per product, prices in euro with two decimals.",
                "bounty": BOUNTY,
                "tags": ["csv", "prices"],
                "attachments": [file["id"]],
                "requirements": ["Every product once", "The totals of the invoice"],
                "verification": [
                    {"name": "shape", "type": "json_schema", "config": {"schema": SCHEMA}},
                    {
                        "name": "totals",
                        "type": "exact",
                        "config": {"pointer": "/totals", "expected": TOTALS},
                    },
                ],
            },
        )
        self._say(f"{poster.handle} posts {task['id']} with {file['name']}, {BOUNTY} in escrow")
        return str(task["id"])

    def _claim(self, worker: Player, task: str, skill: str) -> None:
        claimed = worker.call("POST", f"/tasks/{task}/claim", {"note": "On it."})
        related = ", ".join(one["asset"] for one in claimed["related_assets"]) or "none"
        self._say(f"{worker.handle} claims it; assets that may help: {related}")
        used = worker.call("POST", f"/assets/{skill}/use", {"task": task, "max_charge": PRICE})
        lock = ", ".join(f"{one['asset']}@{one['version']}" for one in used["lock"])
        self._say(f"{worker.handle} uses {lock}: owes {used['owed']} when the task is accepted")

    def _deliver(self, worker: Player, task: str, skill: str) -> str:
        file = settings.DATA_DIR / "demo-prices.csv"
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, FOLDER / "normalise.py", PRICE_LIST, file],
            capture_output=True,
            text=True,
            check=True,
        )
        uploaded = worker.call("POST", "/files", file=file)
        file.unlink()
        delivery = worker.call(
            "POST",
            f"/tasks/{task}/deliveries",
            {
                "summary": "One row per product; page breaks and repeated headers are left out.",
                "result": json.loads(done.stdout),
                "files": [uploaded["id"]],
                "uses": [f"{skill}@1.0.0"],
                "evidence": [{"requirement": 1, "note": "312 rows, the sum of the invoice."}],
            },
        )
        self._say(f"{worker.handle} delivers {delivery['id']} with {uploaded['name']}")
        return str(delivery["id"])

    def _accept(self, poster: Player, worker: Player, delivery: str) -> None:
        checks = self._checked(worker, delivery)
        for check in checks:
            self._say(f"check {check['name']}: {check['state']} in {check['duration_ms']} ms")
        wrong = [check for check in checks if check["state"] != "passed"]
        if wrong:
            raise CommandError(f"a check did not pass: {wrong[0]['detail']}")
        settled = poster.call("POST", f"/deliveries/{delivery}/accept", {"rating": 5})
        paid = ", ".join(f"{one['participant']} {one['amount']}" for one in settled["workers"])
        self._say(f"{poster.handle} accepts: {paid}, fee {settled['fee']}")
        for royalty in settled["royalties"]:
            self._say(f"{royalty['participant']} earns {royalty['amount']} for {royalty['asset']}")

    def _leave(self, worker: Player, task: str) -> str:
        """Publish what the work taught, as an asset that names the task it came out of."""
        published = worker.call(
            "POST",
            "/assets",
            {
                "kind": "experience",
                "name": "price-list-pitfalls",
                "description": "What goes wrong when supplier price lists are normalised.",
                "files": [{"path": "PITFALLS.md", "content": PITFALLS}],
                "source_task": task,
            },
        )
        self._say(f"the work leaves {published['asset']}@{published['version']}")
        return str(published["asset"])

    def _do_later(self, poster: Player, worker: Player, asset: str) -> str:
        """Let somebody else use that asset for a later task."""
        wanted = {
            "title": "Check a price list for pitfalls",
            "description": "Name what will go wrong when it is normalised.",
            "bounty": LATER_BOUNTY,
        }
        task = poster.call("POST", "/tasks", wanted)["id"]
        worker.call("POST", f"/tasks/{task}/claim", {})
        use = {"task": task, "max_charge": LATER_PRICE}
        used = worker.call("POST", f"/assets/{asset}/use", use)
        self._say(f"{worker.handle} claims a later task and uses it: owes {used['owed']}")
        work = {"summary": "Page breaks, repeated headers, decimal commas, and 12,- for 12.00."}
        delivery = worker.call("POST", f"/tasks/{task}/deliveries", work)["id"]
        settled = poster.call("POST", f"/deliveries/{delivery}/accept", {"rating": 5})
        for royalty in settled["royalties"]:
            self._say(f"{royalty['participant']} earns {royalty['amount']} for {royalty['asset']}")
        return str(task)

    def _checked(self, worker: Player, delivery: str) -> list[dict[str, Any]]:
        """Wait on the feed until the checks have ended."""
        after = ""
        for _ in range(WAIT_SECONDS):
            page = worker.call("GET", f"/events?type=delivery.checked&wait=5{after}")
            after = f"&after={page['next_after']}"
            if any(event["subject"]["id"] == delivery for event in page["results"]):
                shown = worker.call("GET", f"/deliveries/{delivery}")
                return list(shown["checks"])
        raise CommandError("the checks did not end: is the worker running?")

    # --- What it comes to

    def _show(
        self, poster: Player, worker: Player, author: Player, basis: Player, tasks: list[str]
    ) -> None:
        for player in (poster, worker, author, basis):
            held = player.call("GET", "/credits")
            self.stdout.write(
                f"\n{player.handle}: {held['available']} available, {held['escrowed']} in escrow,"
                f" {held['pending']} earned and waiting"
            )
            for account in ("wallet", "pending"):
                lines = player.call("GET", f"/credits/statement?limit=4&account={account}")
                for line in lines["results"]:
                    self.stdout.write(
                        f"    {account:<8}{line['kind']:<10}{line['amount']:>12}"
                        f"{line['balance_after']:>14}  {line['memo'][:44]}"
                    )
        self.stdout.write("")
        for task in tasks:
            settled = poster.call("GET", f"/tasks/{task}/settlement")
            shown = poster.call("GET", f"/tasks/{task}")
            self.stdout.write(
                f"{task} is {shown['state']}: bounty {settled['bounty']},"
                f" in escrow {shown['available_bounty']}"
            )
        self.stdout.write("")
        call_command("audit", stdout=self.stdout)
