"""Reports change nothing by themselves; staff decide, and what they decided is recorded."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from assets import catalog
from marketplace.events.models import Event
from marketplace.foundation import clock
from marketplace.moderation.cases import CaseDecided
from marketplace.moderation.hiding import HiddenAlready
from marketplace.moderation.models import Case, CaseState, Hiding, Report
from marketplace.moderation.subjects import UnknownSubject, types
from marketplace.moderation.usecases.dismiss_case import dismiss_case
from marketplace.moderation.usecases.report_subject import (
    OwnSubject,
    ReportedAlready,
    report_subject,
)
from marketplace.moderation.usecases.show_again import ShownAlready, show_again
from marketplace.moderation.usecases.uphold_case import Freezing, NothingDone, uphold_case
from marketplace.participants.dealings import Frozen
from marketplace.participants.models import Participant
from marketplace.participants.quotas import QuotaReached
from marketplace.participants.staff import StaffOnly
from marketplace.participants.usecases.edit_profile import edit_profile
from marketplace.participants.usecases.freeze_participant import InvalidEnd
from marketplace.reuse import browsing
from marketplace.tasks.models import Task
from marketplace.tasks.queries import visible_to
from marketplace.tasks.usecases.claim_task import claim_task
from marketplace.tasks.usecases.edit_task import edit_task
from marketplace.tasks.usecases.use_asset import use_asset
from tests.builders.assets import PRICE, a_skill
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_case, somebody_of_staff
from tests.builders.talk import say
from tests.builders.work import a_claimed_task, a_task, held

pytestmark = pytest.mark.django_db


def two_days_on() -> Freezing:
    return Freezing(ends_at=clock.now() + timedelta(days=2))


# --- Reporting ------------------------------------------------------------------------------------


def test_tasks_messages_assets_and_people_can_be_reported() -> None:
    task, skill, eve = a_task(title="Send me your keys"), a_skill(), a_person()
    message = say(task, a_person(), "Buy this.")
    subjects = {
        task.public_id: ("task", task.poster),
        message.public_id: ("message", message.author),
        skill.asset.reference: ("asset", skill.asset.owner),
        f"{skill.asset.reference}@1.0.0": ("asset", skill.asset.owner),
        eve.handle: ("participant", eve),
    }

    for name, (type_, about) in subjects.items():
        case = a_case(name)
        assert (case.subject_type, case.about) == (type_, about)
    assert {"task", "message", "asset", "participant"} <= set(types())
    assert "Send me your keys" in Case.objects.get(subject_name=task.public_id).excerpt


def test_nothing_that_is_not_there_or_not_ones_own_to_see_can_be_reported() -> None:
    task = a_claimed_task()
    private = say(task, task.poster)

    for name in (private.public_id, "nobody-has-this", "a/b", "x" * 200, "é"):
        with pytest.raises(UnknownSubject):
            report_subject(actor=a_person(), subject=name, reason="-")
    assert task.worker is not None
    report_subject(actor=task.worker, subject=private.public_id, reason="-")


def test_nobody_reports_their_own_operator() -> None:
    ada = a_person()
    task = a_task(ada)

    for actor in (ada, an_agent_of(ada)):
        with pytest.raises(OwnSubject):
            report_subject(actor=actor, subject=task.public_id, reason="-")


def test_an_operator_reports_a_subject_once_with_all_its_agents() -> None:
    task, operator = a_task(), a_person()
    case = a_case(task.public_id, reporter=an_agent_of(operator))

    for actor in (operator, an_agent_of(operator)):
        with pytest.raises(ReportedAlready):
            report_subject(actor=actor, subject=task.public_id, reason="-")

    case.refresh_from_db()
    assert case.report_count == 1


def test_reports_of_a_day_are_few(settings: Settings) -> None:
    settings.REPORTS_PER_OPERATOR_PER_DAY = 2
    eve = a_person()
    for _ in range(2):
        a_case(a_task().public_id, reporter=eve)

    with pytest.raises(QuotaReached):
        report_subject(actor=eve, subject=a_task().public_id, reason="-")


def test_what_was_reported_is_kept_as_it_was() -> None:
    ada = a_person()
    task = a_task(ada, description="Send me your keys.")
    case = a_case(task.public_id)

    edit_task(
        task_id=task.pk,
        actor=ada,
        changes={"description": "Nothing to see."},
        read_version=lambda _: True,
    )

    case.refresh_from_db()
    assert "Send me your keys." in case.excerpt


def test_many_reports_are_one_case_and_change_nothing() -> None:
    task = a_task()
    for _ in range(5):
        a_case(task.public_id)

    case = Case.objects.get(subject_name=task.public_id)

    assert case.report_count == 5
    assert visible_to(None).filter(pk=task.pk).exists()
    assert claim_task(task_id=task.pk, actor=an_agent()).state == "claimed"


# --- Deciding -------------------------------------------------------------------------------------


def test_a_dismissed_case_is_closed_and_its_reporters_are_told() -> None:
    eve, staff = a_person(), somebody_of_staff()
    task = a_task()
    case = a_case(task.public_id, reporter=eve)

    decided = dismiss_case(case_id=case.pk, actor=staff, note="It is a task like others.")

    assert (decided.state, decided.decided_by) == (CaseState.DISMISSED, staff)
    event = Event.objects.get(type="report.answered", subject_id=task.public_id)
    assert event.notified == [eve.pk]
    assert event.data == {"state": "dismissed"}
    assert visible_to(None).filter(pk=task.pk).exists()


def test_the_reported_side_never_learns_who_reported() -> None:
    eve = a_person()
    task = a_task()
    case = a_case(task.public_id, reporter=eve)
    uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="Spam.", hides=True)

    told = Event.objects.filter(notified__contains=[task.poster_id])

    assert "content.hidden" in {event.type for event in told}
    assert all(eve.handle not in str(event.data) and event.actor != eve for event in told)


def test_an_upheld_case_hides_a_task_from_all_but_its_sides_and_keeps_its_escrow() -> None:
    ada, bo, staff = a_person(), a_person(), somebody_of_staff()
    task = a_task(ada)
    case = a_case(task.public_id)

    uphold_case(case_id=case.pk, actor=staff, note="Spam.", hides=True)

    for reader, sees in ((None, False), (bo, False), (ada, True), (staff, True)):
        assert visible_to(reader).filter(pk=task.pk).exists() == sees
    with pytest.raises(Task.DoesNotExist):
        claim_task(task_id=task.pk, actor=bo)
    assert held(task) == task.bounty


def test_a_hidden_task_goes_on_for_whoever_holds_it() -> None:
    task = a_claimed_task()
    case = a_case(task.public_id)
    uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="Spam.", hides=True)

    assert visible_to(task.worker).filter(pk=task.pk).exists()
    assert not visible_to(a_person()).filter(pk=task.pk).exists()


def test_a_hidden_asset_is_found_by_those_who_use_it_and_nobody_else() -> None:
    owner, user, eve = a_person(), a_person(), a_person()
    skill = a_skill(owner)
    name: dict[str, Any] = {"owner": owner.handle, "name": skill.asset.name}
    use_asset(actor=user, max_charge=PRICE, **name)
    case = a_case(skill.asset.reference)

    uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="Malware.", hides=True)

    assert not browsing.search(owner=owner.handle).exists()
    for reader in (owner, user, somebody_of_staff()):
        assert browsing.find_asset(reader, **name) == skill.asset
    for stranger in (eve, None):
        with pytest.raises(catalog.UnknownAsset):
            browsing.find_asset(stranger, **name)
    with pytest.raises(catalog.UnknownAsset):
        use_asset(actor=eve, max_charge=PRICE, **name)


def test_a_profile_is_emptied_and_its_handle_stays() -> None:
    eve = a_person()
    edit_profile(
        actor=eve,
        changes={"display_name": "Buy now", "bio": "Cheap."},
        read_version=lambda _: True,
    )
    case = a_case(eve.handle)

    uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="Advertising.", hides=True)

    profile = Participant.objects.get(pk=eve.pk)
    assert (profile.display_name, profile.bio) == (eve.handle, "")
    assert "Cheap." in case.excerpt


def test_an_upheld_case_freezes_whoever_did_it_or_its_operator() -> None:
    operator, staff = a_person(), somebody_of_staff()
    one, other = an_agent_of(operator), an_agent_of(operator)
    case = a_case(a_task(one).public_id)

    decided = uphold_case(case_id=case.pk, actor=staff, note="Spam.", freezing=two_days_on())
    assert decided.freeze is not None
    assert decided.freeze.participant == one
    assert decided.freeze.reason == "Spam."
    a_task(other)

    of_operator = Freezing(ends_at=clock.now() + timedelta(days=2), of_operator=True)
    later = a_case(a_task(other).public_id)
    uphold_case(case_id=later.pk, actor=staff, note="Spam again.", freezing=of_operator)
    with pytest.raises(Frozen):
        a_task(other)


def test_a_decision_that_fails_leaves_the_case_open() -> None:
    case = a_case(a_task().public_id)
    too_long = Freezing(ends_at=clock.now() + timedelta(days=1000))

    with pytest.raises(InvalidEnd):
        uphold_case(
            case_id=case.pk, actor=somebody_of_staff(), note="-", hides=True, freezing=too_long
        )
    with pytest.raises(NothingDone):
        uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="-")

    case.refresh_from_db()
    assert case.state == CaseState.OPEN
    assert not Hiding.objects.filter(subject_key=case.subject_key).exists()


def test_a_case_is_decided_once_and_a_later_report_opens_another() -> None:
    task, staff = a_task(), somebody_of_staff()
    case = a_case(task.public_id)
    dismiss_case(case_id=case.pk, actor=staff, note="-")

    with pytest.raises(CaseDecided):
        uphold_case(case_id=case.pk, actor=staff, note="-", hides=True)

    later = a_case(task.public_id)
    assert later != case
    assert Report.objects.filter(case=later).count() == later.report_count == 1


def test_only_staff_decide_and_never_in_their_own_cause() -> None:
    staff = somebody_of_staff()
    case = a_case(a_task(staff).public_id)

    for actor in (staff, a_person()):
        with pytest.raises(StaffOnly):
            dismiss_case(case_id=case.pk, actor=actor, note="-")
        with pytest.raises(StaffOnly):
            uphold_case(case_id=case.pk, actor=actor, note="-", hides=True, freezing=two_days_on())


def test_what_was_hidden_by_mistake_is_shown_again() -> None:
    task, staff = a_task(), somebody_of_staff()
    uphold_case(case_id=a_case(task.public_id).pk, actor=staff, note="Spam.", hides=True)
    later = a_case(task.public_id, reporter=somebody_of_staff())
    with pytest.raises(HiddenAlready):
        uphold_case(case_id=later.pk, actor=staff, note="Spam.", hides=True)
    hiding = Hiding.objects.get(subject_key=str(task.pk))

    with pytest.raises(StaffOnly):
        show_again(hiding_id=hiding.pk, actor=a_person())
    show_again(hiding_id=hiding.pk, actor=staff)

    assert visible_to(None).filter(pk=task.pk).exists()
    with pytest.raises(ShownAlready):
        show_again(hiding_id=hiding.pk, actor=staff)


def test_a_message_that_is_upheld_is_redacted() -> None:
    task = a_claimed_task()
    assert task.worker is not None
    message = say(task, task.poster)
    case = a_case(message.public_id, reporter=task.worker)

    uphold_case(case_id=case.pk, actor=somebody_of_staff(), note="Insults.", hides=True)

    with pytest.raises(UnknownSubject):  # there is nothing left to report
        report_subject(actor=somebody_of_staff(), subject=message.public_id, reason="-")
