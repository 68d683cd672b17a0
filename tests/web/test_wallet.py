"""The wallet, its statement, and the proofs of its lines."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

from credits import amounts, verifier
from marketplace.foundation import clock
from marketplace.participants.models import Participant
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.reuse.jobs import release_due_earnings
from marketplace.tasks.usecases.cancel_task import cancel_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.web.wallet import KINDS
from tests.builders.assets import a_skill
from tests.builders.disputes import a_posters_dispute
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import a_task, an_accepted_delivery
from tests.credits.books import seal_everything
from tests.web.reading import (
    Answer,
    links_of,
    next_link_of,
    signed_in,
    text_of,
)

pytestmark = pytest.mark.django_db


def pay(payer: Participant, payee: Participant, memo: str = "", amount: int = 10_000) -> None:
    transfer_credits(actor=payer, to=payee.handle, amount=amount, memo=memo)


def proofs_on(answer: Answer) -> list[str]:
    return [link for link in links_of(answer) if link.endswith("/proof")]


def every_page_of(client: Client, path: str) -> list[Answer]:
    answers = [client.get(path)]
    while (following := next_link_of(answers[-1])) is not None:
        answers.append(client.get(f"/wallet{following}"))
    return answers


# --- The statement --------------------------------------------------------------------------------


def test_the_wallet_shows_what_is_available_escrowed_and_how_it_came() -> None:
    ada = a_person()
    task = a_task(ada)

    answer = signed_in(ada).get("/wallet")

    said = text_of(answer)
    assert "Available 90 credits" in said
    assert "In escrow for your tasks 10 credits" in said
    assert f"into escrow: Bounty: {task.title} -10 90 not yet" in said
    assert "grant: Sign-up grant 100 100" in said
    assert f"/tasks/{task.public_id}" in links_of(answer)


def test_lines_of_a_statement_are_paged_without_a_gap() -> None:
    ada, bo = a_person(), a_person()
    for n in range(45):
        pay(ada, bo, amount=10_000 + n)

    pages = every_page_of(signed_in(ada), "/wallet")

    balances = [one.line["balance_after"] for page in pages for one in page.context["lines"]]
    assert len(pages) == 3
    assert len(balances) == len(set(balances)) == 46


def test_paging_keeps_the_filters() -> None:
    ada, bo = a_person(), a_person()
    for _ in range(23):
        pay(ada, bo)
    a_task(ada)

    pages = every_page_of(signed_in(ada), "/wallet?kind=transfer")

    kinds = [one.line["kind"] for page in pages for one in page.context["lines"]]
    assert len(pages) == 2
    assert kinds == ["transfer"] * 23


def test_both_sides_of_a_transfer_are_told_who_the_other_is() -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo, "Lunch", amounts.MICRO)

    paid, received = (signed_in(one).get("/wallet") for one in (ada, bo))

    assert f"transfer to {bo.handle} : Lunch -1 99" in text_of(paid)
    assert f"transfer from {ada.handle} : Lunch 1 101" in text_of(received)
    assert f"/people/{bo.handle}" in links_of(paid)
    assert f"/people/{ada.handle}" in links_of(received)


def test_an_agent_reads_its_operators_wallet_and_who_paid_into_it() -> None:
    ada, bo = a_person(), a_person()
    agent = an_agent_of(bo)
    pay(ada, agent, "For the agent")

    answer = signed_in(agent).get("/wallet")

    assert f"transfer from {ada.handle} : For the agent" in text_of(answer)


def test_a_use_leads_to_the_version_that_was_used() -> None:
    author, ada = a_person(), a_person()
    skill = a_skill(author)
    page = f"/assets/{skill.asset.reference}"
    signed_in(ada).post(page, {"version": skill.number, "max_charge": "0.1"})

    used, earned = (
        signed_in(ada).get("/wallet"),
        signed_in(author).get("/wallet?account=pending"),
    )

    for answer in (used, earned):
        assert f"use of an asset: Use of {skill.asset.reference}@" in text_of(answer)
        assert f"{page}/{skill.number}" in links_of(answer)


def test_what_assets_earned_is_a_statement_of_its_own() -> None:
    author, ada = a_person(), a_person()
    skill = a_skill(author)
    signed_in(ada).post(
        f"/assets/{skill.asset.reference}", {"version": skill.number, "max_charge": "0.1"}
    )
    clock.advance(timedelta(days=8))
    release_due_earnings()

    pending = text_of(signed_in(author).get("/wallet?account=pending"))
    wallet = text_of(signed_in(author).get("/wallet"))

    assert "earnings: 1 earning of assets, after the wait -0.1 0 not yet" in pending
    assert "earnings: 1 earning of assets, after the wait 0.1 100.1 not yet" in wallet


def test_a_statement_is_narrowed_to_a_kind_and_to_days() -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo)
    task = a_task(ada)
    client = signed_in(ada)
    (day,) = {one.line["created_at"].date() for one in client.get("/wallet").context["lines"][:1]}

    def kinds(**query: object) -> list[str]:
        answer = client.get("/wallet", {name: str(value) for name, value in query.items()})
        assert answer.status_code == 200
        return [one.line["kind"] for one in answer.context["lines"]]

    after, before = day + timedelta(days=1), day - timedelta(days=1)
    assert kinds() == ["fund", "transfer", "grant"]
    assert kinds(kind="grant") == ["grant"]
    # A test that runs at midnight has lines of two days; the day before has none of them.
    assert "fund" in kinds(since=day, until=day)
    assert kinds(since=after) == kinds(until=before - timedelta(days=1)) == []
    assert kinds(until="9998-12-31") == ["fund", "transfer", "grant"]
    assert f"Bounty: {task.title}" in text_of(client.get("/wallet?kind=fund"))
    assert "No line is like that." in text_of(client.get("/wallet?kind=reversal"))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("since=yesterday", "From : Enter a valid date."),
        ("until=9999-12-31", "less than or equal to"),
        ("kind=bribe", "Kind : Select a valid choice."),
        ("account=others", "Lines of : Select a valid choice."),
        ("since=0000-00-00", "From : Enter a valid date."),
    ],
)
@pytest.mark.parametrize("path", ["/wallet", "/wallet/statement.csv"])
def test_a_filter_that_is_not_valid_says_why(path: str, query: str, says: str) -> None:
    answer = signed_in(a_person()).get(f"{path}?{query}")

    assert answer.status_code == 400
    assert says in text_of(answer)
    assert "Available 100 credits" in text_of(answer)


def test_a_cursor_that_no_page_gave_is_refused() -> None:
    answer = signed_in(a_person()).get("/wallet?cursor=nope")

    assert answer.status_code == 400
    assert "Begin again with the first page." in text_of(answer)


def test_the_statement_as_csv_has_the_lines_of_the_page_and_no_formula() -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo, "=HYPERLINK(1)")
    a_task(ada)
    client = signed_in(ada)

    page = client.get("/wallet?kind=transfer")
    (link,) = [one for one in links_of(page) if "statement.csv" in one]
    narrowed, whole = client.get(link), client.get("/wallet/statement.csv")

    assert narrowed["Content-Type"] == "text/csv; charset=utf-8"
    assert narrowed["Content-Disposition"] == 'attachment; filename="statement-wallet.csv"'
    (row,) = csv.DictReader(io.StringIO(narrowed.content.decode()))
    assert row["memo"] == "'=HYPERLINK(1)"
    assert len(list(csv.DictReader(io.StringIO(whole.content.decode())))) == 3


# --- Proofs ---------------------------------------------------------------------------------------


def a_sealed_line(person: Participant) -> str:
    """Seal what *person* has, and return the path of the proof of the newest line."""
    seal_everything()
    return proofs_on(signed_in(person).get("/wallet"))[0]


def test_each_line_says_whether_it_is_sealed_and_leads_to_its_proof() -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo, "Sealed")
    seal_everything()
    pay(ada, bo, "Waiting")

    answer = signed_in(ada).get("/wallet")

    waiting, sealed, grant = answer.context["lines"]
    assert waiting.block is None
    assert sealed.block >= grant.block >= 1
    assert proofs_on(answer) == [
        f"/wallet/statement/{one.line['id']}/proof" for one in (sealed, grant)
    ]
    assert re.search(r"Waiting -0.01 99.98 not yet", text_of(answer))
    assert f"Sealed -0.01 99.99 block {sealed.block} , the proof of the line" in text_of(answer)


def test_a_proof_is_shown_downloaded_and_verified_as_the_page_says(tmp_path: Path) -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo, "Lunch <b>")
    client, path = signed_in(ada), a_sealed_line(ada)

    page = client.get(path)
    links = links_of(page)
    (download,) = [link for link in links if link.endswith("proof.json")]
    (program,) = [link for link in links if link.endswith("verifier.py")]
    saved, verifying = client.get(download), Client().get(program)

    said = text_of(page)
    proof = json.loads(saved.content)
    seal = proof["seal"]
    for shown in (seal["hash"], seal["root"], *proof["path"], proof["leaf"], "Lunch <b>"):
        assert shown in said
    assert f"{proof['index'] + 1} of {seal['entries']}" in said
    assert f"/seals?last={seal['number']}" in links
    name = f"proof-{seal['number']}-{proof['index'] + 1}.json"
    assert saved["Content-Disposition"] == f'attachment; filename="{name}"'
    assert verifying["Content-Disposition"] == 'attachment; filename="verifier.py"'
    # As the page says it.
    (tmp_path / name).write_bytes(saved.content)
    (tmp_path / "verifier.py").write_bytes(verifying.content)
    command = f"verifier.py {name} --seal {seal['number']}:HASH"
    assert f"python3 {command}" in said
    ran = subprocess.run(
        [sys.executable, "-I", *command.replace("HASH", seal["hash"]).split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_line_in_the_wallet_and_the_line_of_earnings_have_proofs_of_their_own() -> None:
    author, ada = a_person(), a_person()
    skill = a_skill(author)
    signed_in(ada).post(
        f"/assets/{skill.asset.reference}", {"version": skill.number, "max_charge": "0.1"}
    )
    clock.advance(timedelta(days=8))
    release_due_earnings()  # one posting with a line in each
    seal_everything()
    client = signed_in(author)

    leaves = {}
    for account in ("wallet", "pending"):
        path = proofs_on(client.get(f"/wallet?account={account}"))[0]
        proof = client.get(f"{path}.json").json()
        assert verifier.check_proof(proof) == []
        leaves[account] = json.loads(proof["leaf"])

    assert leaves["wallet"]["posting"] == leaves["pending"]["posting"]
    assert leaves["wallet"]["account"] == str(author.wallet)
    assert leaves["pending"]["account"] == str(author.earnings)
    assert (leaves["wallet"]["amount"], leaves["pending"]["amount"]) == ("100000", "-100000")


def of_somebody_else(path: str) -> str:
    return path


def of_nothing(_path: str) -> str:
    return "/wallet/statement/entry_01h455vb4pex5vsknk084sn02q/proof"


def of_another_type(path: str) -> str:
    return path.replace("entry_", "task_")


def of_another_account(path: str) -> str:
    return path.replace("entry_", "pending_entry_")


@pytest.mark.parametrize(
    "changed", [of_somebody_else, of_nothing, of_another_type, of_another_account]
)
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_stranger_gets_no_proof_of_somebodys_line(
    changed: Callable[[str], str], suffix: str
) -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo)
    path = a_sealed_line(ada)

    answer = signed_in(a_person()).get(f"{changed(path)}{suffix}")

    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_the_payee_of_a_line_gets_the_proof_of_their_own_side() -> None:
    ada, bo = a_person(), a_person()
    pay(ada, bo)
    path = a_sealed_line(ada)  # both lines have the id of their posting

    theirs = json.loads(signed_in(bo).get(f"{path}.json").json()["leaf"])

    assert (theirs["account"], theirs["amount"]) == (str(bo.wallet), "10000")


def test_a_line_that_is_not_sealed_yet_has_a_page_that_says_when_to_look_again() -> None:
    ada = a_person()
    (one,) = signed_in(ada).get("/wallet").context["lines"]

    answer = signed_in(ada).get(f"/wallet/statement/{one.line['id']}/proof")

    assert answer.status_code == 409
    assert "Look again in a minute" in text_of(answer)


def test_visitors_are_asked_to_sign_in_before_they_see_a_proof() -> None:
    path = a_sealed_line(a_person())

    for asked in (path, f"{path}.json"):
        answer = Client().get(asked)
        assert answer.status_code == 302
        assert answer["Location"] == f"/accounts/login/?next={asked}"


def test_every_kind_of_posting_that_the_market_makes_has_words() -> None:
    poster, worker, author = a_person(), a_person(), a_person()
    an_accepted_delivery(poster, worker)
    a_posters_dispute(poster)
    task = a_task(poster)
    lower = {"bounty": amounts.MICRO}
    edit_task(task_id=task.pk, actor=poster, changes=lower, read_version=lambda _: True)
    cancel_task(task_id=task.pk, actor=poster)
    pay(poster, worker)
    skill = a_skill(author)
    signed_in(worker).post(
        f"/assets/{skill.asset.reference}", {"version": skill.number, "max_charge": "0.1"}
    )
    clock.advance(timedelta(days=8))
    release_due_earnings()

    made = {
        one.line["kind"]
        for person in (poster, worker, author)
        for one in signed_in(person).get("/wallet").context["lines"]
    }

    # Only staff would make a reversal, and what moves between escrows is in no wallet.
    assert made == set(KINDS) - {"reversal", "allocate"}
