"""The admin shows everything to staff and lets nobody change anything."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from credits import amounts, seals
from credits.ledger import FEES, ISSUANCE, Leg, balance, post
from credits.models import Account, Posting
from credits.rollup import roll_up
from credits.seals import list_seals
from marketplace.delivery.usecases.rate_delivery import rate_delivery
from marketplace.disputes.usecases.submit_evidence import submit_evidence
from marketplace.foundation import clock, ids
from marketplace.moderation.usecases.uphold_case import Freezing, uphold_case
from marketplace.participants.models import Participant
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.threads.usecases.redact_message import redact_message
from tests.api.caller import nothing_changes
from tests.builders.assets import a_skill
from tests.builders.disputes import a_dispute, a_settled_dispute
from tests.builders.people import a_person, an_agent_of
from tests.builders.staff import a_case, somebody_of_staff
from tests.builders.talk import say
from tests.builders.work import a_task, an_accepted_delivery, an_exact_check, checked
from tests.credits.books import seal_everything
from tests.credits.cast import a_derived_account, a_wallet, give, unique, wait_until_settled
from tests.web.reading import elements_of, links_of, signed_in, text_of

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)  # noqa: SLF001
SHOWN = {
    "participants.Participant",
    "participants.Freeze",
    "participants.Block",
    "moderation.Case",
    "moderation.Report",
    "moderation.Hiding",
    "threads.Message",
    "tasks.Task",
    "delivery.Delivery",
    "delivery.CheckRun",
    "ratings.Rating",
    "disputes.Dispute",
    "disputes.Seat",
    "disputes.Evidence",
    "disputes.Decision",
    "events.Event",
    "events.Notification",
    "assets.Asset",
    "assets.Version",
    "reuse.Use",
    "reuse.Earning",
    "credits.Account",
    "credits.Posting",
    "credits.SealedBlock",
}


def staff() -> Client:
    person = a_person()
    person.is_staff = True
    person.save(update_fields=["is_staff"])
    return signed_in(person)


def a_busy_market() -> None:
    """Make at least one row of everything that the admin shows."""
    skill = a_skill(dependencies=[a_skill()])
    signed_in(a_person()).post(
        f"/assets/{skill.asset.reference}", {"version": skill.number, "max_charge": "0.1"}
    )
    delivery = checked(an_accepted_delivery(verification=[an_exact_check()]))
    rate_delivery(delivery_id=delivery.pk, actor=delivery.worker, score=5)
    task, staff = a_task(), somebody_of_staff()
    message = say(task, a_person())
    redact_message(message_id=message.pk, actor=staff, reason="A test.")
    case = a_case(task.public_id)
    end = clock.now() + timedelta(days=2)
    uphold_case(case_id=case.pk, actor=staff, note="A test.", freezing=Freezing(end))
    block_participant(actor=a_person(), handle=task.poster.handle)
    dispute = a_dispute(a_person())
    submit_evidence(dispute_id=dispute.pk, actor=dispute.task.poster, text="A test.")
    a_settled_dispute(dispute=dispute)
    seal_everything()


def test_everything_is_shown_and_nothing_else() -> None:
    assert {model._meta.label for model in MODELS} == SHOWN  # noqa: SLF001


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)  # noqa: SLF001
def test_staff_find_and_read_rows_and_can_change_none(model: type) -> None:
    a_busy_market()
    client = staff()
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined] # noqa: SLF001
    row = model.objects.order_by("-pk").first()  # type: ignore[attr-defined]
    page = reverse(f"{name}_change", args=[row.pk])

    with CaptureQueriesContext(connection) as made:
        listed = client.get(reverse(f"{name}_changelist"))
    searched = client.get(reverse(f"{name}_changelist"), {"q": "x'\"%"})
    shown = client.get(page)

    assert [one.status_code for one in (listed, searched, shown)] == [200, 200, 200]
    assert len(made) <= 8, [query["sql"] for query in made]
    assert client.get(reverse(f"{name}_add")).status_code == 403
    assert client.post(page, {"state": "accepted"}).status_code == 403
    assert client.post(reverse(f"{name}_delete", args=[row.pk])).status_code == 403
    for answer in (listed, shown):
        elements = elements_of(answer)
        assert not [i for i in elements.all("input") if i.get("name") == "_save"]
        assert "unsafe" not in answer["Content-Security-Policy"]
        for tag, attributes, _ in elements.found:
            assert tag != "style"
            assert tag != "script" or "src" in attributes
            assert not any(one == "style" or one.startswith("on") for one in attributes)


def test_a_posting_shows_its_entries_with_their_owners() -> None:
    delivery = an_accepted_delivery()
    posting = Posting.objects.get(reference=f"end:{delivery.task.public_id}")

    html = staff().get(reverse("admin:credits_posting_change", args=[posting.pk])).content.decode()

    assert "<td>9.5</td>" in html
    assert "<td>-10</td>" in html
    assert f"<td>{delivery.worker.handle}</td>" in html


def test_an_account_shows_its_newest_entries() -> None:
    ada = a_person()

    for account in (ada.wallet, 1):  # one that stores its balance, one that derives it
        page = staff().get(reverse("admin:credits_account_change", args=[account]))
        assert "grant grant:" in page.content.decode()


# --- The ledger -----------------------------------------------------------------------------------


def found(client: Client, model: str, term: str) -> list[Any]:
    """Return the keys of the rows that a search lists, in few queries."""
    with CaptureQueriesContext(connection) as made:
        answer = client.get(reverse(f"admin:credits_{model}_changelist"), {"q": term})
    assert answer.status_code == 200
    assert len(made) <= 14, [query["sql"] for query in made]
    return [row.pk for row in answer.context["cl"].result_list]


def test_postings_are_found_by_reference_subject_account_owner_and_id() -> None:
    delivery = an_accepted_delivery()
    task = delivery.task
    keeper = staff()
    funded = Posting.objects.get(reference=f"fund:{task.public_id}")
    ended = Posting.objects.get(reference=f"end:{task.public_id}")
    escrow = Account.objects.get(kind="escrow", reference=task.public_id)
    worker = delivery.worker
    granted = Posting.objects.get(subject=worker.handle, kind="grant")

    assert found(keeper, "posting", ended.reference) == [ended.pk]
    assert found(keeper, "posting", f" {task.public_id} ") == [ended.pk, funded.pk]
    assert found(keeper, "posting", str(escrow.pk)) == [ended.pk, funded.pk]
    assert found(keeper, "posting", worker.handle) == [ended.pk, granted.pk]
    assert found(keeper, "posting", str(ended.pk)) == [ended.pk]
    assert found(keeper, "posting", ids.encode("posting", ended.pk)) == [ended.pk]
    assert found(keeper, "posting", ids.encode("entry", ended.pk)) == [ended.pk]
    for nothing in ("task_01h455vb4pex5vsknk084sn02q", "nobody-has-this", "9" * 30, "posting_x"):
        assert found(keeper, "posting", nothing) == []


def test_a_posting_that_no_account_leads_to_is_found_by_its_subject() -> None:
    subject, account = unique("thing"), a_wallet()
    with transaction.atomic():
        made = post(
            reference=unique("odd"),
            kind="odd",
            legs=[Leg(ISSUANCE, -1), Leg(account, 1)],
            subject=subject,
        )

    assert found(staff(), "posting", subject) == [made.id]


def test_postings_of_an_operated_agent_are_those_of_its_operators_wallet() -> None:
    ada = a_person()
    agent = an_agent_of(ada)

    assert found(staff(), "posting", agent.handle) == found(staff(), "posting", ada.handle) != []


def test_accounts_are_found_by_number_owner_and_work() -> None:
    delivery = an_accepted_delivery()
    keeper, worker = staff(), delivery.worker
    escrow = Account.objects.get(kind="escrow", reference=delivery.task.public_id)

    assert found(keeper, "account", str(worker.wallet)) == [worker.wallet]
    assert found(keeper, "account", worker.handle) == [worker.earnings, worker.wallet]
    assert found(keeper, "account", str(worker.pk)) == [worker.earnings, worker.wallet]
    assert found(keeper, "account", escrow.reference) == [escrow.pk]
    for nothing in ("nobody-has-this", "0", "9" * 30):
        assert found(keeper, "account", nothing) == []


def test_accounts_are_narrowed_to_a_kind_and_to_those_that_are_open() -> None:
    running, ended = a_task(), an_accepted_delivery().task
    keeper, path = staff(), reverse("admin:credits_account_changelist")

    def escrows(**query: str) -> set[str]:
        answer = keeper.get(path, {"kind": "escrow", **query})
        rows = answer.context["cl"].result_list
        assert {row.kind for row in rows} == {"escrow"}
        return {row.reference for row in rows}

    both = {running.public_id, ended.public_id}
    assert escrows() & both == both
    assert escrows(closed="no") & both == {running.public_id}
    assert escrows(closed="yes") & both == {ended.public_id}


def test_blocks_are_found_by_number_and_by_hash() -> None:
    a_person()
    seal_everything()
    (last,) = list_seals(limit=1, newest_first=True)

    for term in (str(last.number), last.hash, last.hash.upper()):
        assert found(staff(), "sealedblock", term) == [last.number]
    for nothing in ("0", "9" * 30, "nonsense", last.hash[:-2]):
        assert found(staff(), "sealedblock", nothing) == []


def test_every_account_shows_what_it_holds_and_whose_it_is() -> None:
    task = a_task()
    escrow = Account.objects.get(kind="escrow", reference=task.public_id)
    keeper = staff()

    listed = text_of(keeper.get(reverse("admin:credits_account_changelist")))
    shown = keeper.get(reverse("admin:credits_account_change", args=[escrow.pk]))
    fees = text_of(keeper.get(reverse("admin:credits_account_change", args=[FEES])))

    assert f"{task.poster.handle} 10 {task.public_id} 1" in listed
    assert "Credits: 10" in text_of(shown)
    assert reverse("admin:tasks_task_change", args=[task.pk]) in links_of(shown)
    assert reverse("admin:participants_participant_change", args=[task.poster.pk]) in links_of(
        shown
    )
    assert f"Credits: {amounts.format(balance(FEES))} " in fees


def test_a_derived_account_shows_its_folds() -> None:
    sink = a_derived_account()
    for amount in (2_500_000, 1_500_000):
        give(sink, amount)
    wait_until_settled()
    roll_up()

    shown = text_of(staff().get(reverse("admin:credits_account_change", args=[sink])))

    assert "Credits: 4 " in shown
    assert re.search(r"Newest folds: Fold .* 1 \S+ \S+ 2 4 \S+ \S+ ", shown, re.IGNORECASE)


def test_a_posting_and_its_block_lead_to_each_other() -> None:
    ada = a_person()
    posting = Posting.objects.get(subject=ada.handle)
    page, keeper = reverse("admin:credits_posting_change", args=[posting.pk]), staff()

    before = text_of(keeper.get(page))
    seal_everything()
    number = seals.blocks_of(ISSUANCE, [posting.pk])[posting.pk]
    block = reverse("admin:credits_sealedblock_change", args=[number])

    assert "Sealed in block: not yet" in before
    assert block in links_of(keeper.get(page))
    assert list_seals(after=number - 1, limit=1)[0].root in text_of(keeper.get(block))
    assert "salt" not in keeper.get(block).content.decode()


@pytest.mark.parametrize("model", ["account", "posting", "sealedblock"])
def test_the_ledger_is_listed_in_as_few_queries_however_much_there_is(model: str) -> None:
    a_busy_market()
    keeper, path = staff(), reverse(f"admin:credits_{model}_changelist")
    with CaptureQueriesContext(connection) as few:
        keeper.get(path)
    a_derived_account()
    a_busy_market()

    with CaptureQueriesContext(connection) as many:
        keeper.get(path)

    assert len(few) == len(many) <= 8


@pytest.mark.parametrize("model", ["account", "posting", "sealedblock"])
def test_nothing_in_the_admin_acts_on_the_ledger(model: str) -> None:
    a_busy_market()
    keeper, path = staff(), reverse(f"admin:credits_{model}_changelist")

    listed = elements_of(keeper.get(path))
    with nothing_changes():
        for action in ("delete_selected", "x"):
            keeper.post(path, {"action": action, "_selected_action": "1", "select_across": "1"})

    assert not [one for one in listed.all("select", "input") if one.get("name") == "action"]


def test_deliveries_are_called_by_their_name() -> None:
    assert "Deliveries" in text_of(staff().get("/admin/"))


# --- Who may look ---------------------------------------------------------------------------------


def test_no_hash_of_a_password_is_shown() -> None:
    ada = a_person(password="correct horse battery")

    page = staff().get(reverse("admin:participants_participant_change", args=[ada.pk]))

    assert ada.handle in page.content.decode()
    assert ada.password not in page.content.decode()
    assert "md5" not in page.content.decode()


def test_whoever_is_no_staff_stays_outside() -> None:
    visitor = Client().get("/admin/")
    asked = Client().get(visitor["Location"])

    assert visitor.status_code == 302
    assert asked["Location"].startswith("/accounts/login/?next=")
    assert signed_in(a_person()).get("/admin/tasks/task/").status_code in (302, 403)
    assert signed_in(a_person()).get("/admin/login/").status_code == 403


def test_whoever_has_left_the_staff_is_outside_again() -> None:
    client = staff()
    Participant.objects.filter(pk=client.session["_auth_user_id"]).update(is_staff=False)

    assert client.get("/admin/").status_code == 302
