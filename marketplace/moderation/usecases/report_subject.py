"""Somebody reports spam or harm."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from marketplace.foundation.transactions import TRIES, Busy, use_case
from marketplace.moderation import subjects
from marketplace.moderation.models import EXCERPT_CHARACTERS, Case, CaseState, Category, Report
from marketplace.moderation.subjects import Found, Reportable
from marketplace.participants import quotas
from marketplace.participants.models import Participant


class ReportedAlready(Exception):
    """The reporter's operator has reported this subject before."""


class OwnSubject(Exception):
    """It is the reporter's own operator's doing."""


@use_case
def report_subject(
    *, actor: Participant, subject: str, reason: str, category: Category = Category.OTHER
) -> Report:
    """Report a subject to staff; nothing happens to it until they decide.

    Args:
        actor: Who reports.
        subject: What: an id such as `task_…`, a handle, or an asset's `owner/name`.
        reason: What is wrong with it.
        category: Which kind of wrong that is.

    Raises:
        UnknownSubject: There is no such thing, or not the actor's to see.
        OwnSubject: It is of the actor's own operator.
        ReportedAlready: The actor's operator reported it before.
        QuotaReached: The actor's operator reported as much as it may in a day.

    Locks: the actor's operator (the quota is counted under it), then the case.
    """
    reportable, found = subjects.find(actor, subject)
    if found.about.operator_key == actor.operator_key:
        raise OwnSubject("this is of your own operator")
    Participant.objects.lock_operators([actor.operator_key])
    before = Report.objects.filter(
        operator=actor.operator_key, subject_type=reportable.type, subject_key=found.key
    )
    if before.exists():
        raise ReportedAlready("you have reported this already")
    quotas.take(
        Report.objects.filter(operator=actor.operator_key),
        most=settings.REPORTS_PER_OPERATOR_PER_DAY,
        what="reports",
    )
    case = _open_case(reportable, found)
    report = Report.objects.create(
        case=case,
        subject_type=reportable.type,
        subject_key=found.key,
        reporter=actor,
        operator_id=actor.operator_key,
        category=category,
        reason=reason,
    )
    Case.objects.filter(pk=case.pk).update(report_count=F("report_count") + 1)
    return report


def _open_case(reportable: Reportable, found: Found) -> Case:
    """Return the subject's open case, locked; the first report opens it.

    A decision that was under way is waited for, and the report then belongs to a case of its own.
    """
    open_cases = Case.objects.filter(
        subject_type=reportable.type, subject_key=found.key, state=CaseState.OPEN
    )
    for _ in range(TRIES):
        case = open_cases.select_for_update(no_key=True).first()
        if case is not None:
            return case
        try:
            with transaction.atomic():
                return Case.objects.create(
                    subject_type=reportable.type,
                    subject_key=found.key,
                    subject_name=found.name,
                    about=found.about,
                    excerpt=found.excerpt[:EXCERPT_CHARACTERS],
                )
        except IntegrityError as error:  # somebody else opened it this moment
            if "one_open_case_per_subject" not in str(error):
                raise
    raise Busy
