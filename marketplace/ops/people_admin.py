"""The admin of people and what is reported: staff's queues, and the decisions they take in them.

Every action here calls a use case, which records who acted.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from marketplace.foundation import clock
from marketplace.moderation.models import Case, CaseState, Hiding, Report
from marketplace.moderation.usecases.dismiss_case import dismiss_case
from marketplace.moderation.usecases.show_again import show_again
from marketplace.moderation.usecases.uphold_case import Freezing, uphold_case
from marketplace.ops.admin import ReadOnlyAdmin
from marketplace.participants.models import Block, Freeze, Participant
from marketplace.participants.usecases.answer_appeal import answer_appeal
from marketplace.participants.usecases.freeze_participant import freeze_participant
from marketplace.participants.usecases.lift_freeze import lift_freeze
from marketplace.threads.models import Message
from marketplace.threads.usecases.redact_message import redact_message
from marketplace.web.pages import REFUSALS

MOST_CHARACTERS = 1_000  # of a reason
MOST_REASONS = 20  # of one case; the list of reports has all
MOST_DAYS = 3650  # what `FREEZE_LIMIT_SECONDS` allows, the use case says


class Incomplete(Exception):
    """An action was asked for without what it needs."""


class WhyForm(ActionForm):
    """Why something is done to the rows that are ticked."""

    why = forms.CharField(required=False, label="Why", max_length=MOST_CHARACTERS)


class ConductForm(WhyForm):
    """Why, and for a freeze for how long and of whom."""

    days = forms.IntegerField(required=False, label="Freeze for days", min_value=1)
    of_operator = forms.BooleanField(required=False, label="the whole operator")


def _actor(request: HttpRequest) -> Participant:
    assert isinstance(request.user, Participant), "the admin requires signing in"
    return request.user


def _why(request: HttpRequest) -> str:
    """Return the reason that was given; every decision has one.

    Raises:
        Incomplete: None was, or a longer one than is kept.
    """
    why = request.POST.get("why", "").strip()
    if not 1 <= len(why) <= MOST_CHARACTERS:
        raise Incomplete(f"say why, in at most {MOST_CHARACTERS} characters")
    return why


def _days(request: HttpRequest) -> timedelta:
    """Return for how long a freeze is to last.

    Raises:
        Incomplete: That was not said.
    """
    days = request.POST.get("days", "")
    if not days.isdecimal() or not 1 <= int(days) <= MOST_DAYS:
        raise Incomplete("say for how many days")
    return timedelta(days=int(days))


_TOLD: tuple[type[Exception], ...] = (Incomplete, *REFUSALS)


def _each(
    shown: ReadOnlyAdmin,
    request: HttpRequest,
    rows: QuerySet[Any],
    decide: Callable[[Any], object],
    done: str,
) -> None:
    """Decide about every ticked row, and tell of each what came of it."""
    for row in rows:
        try:
            decide(row)
        except _TOLD as error:
            shown.message_user(request, f"{_named(row)}: {error}", messages.ERROR)
        else:
            shown.message_user(request, f"{_named(row)}: {done}.")


def _named(row: Model) -> str:
    return str(getattr(row, "public_id", row))


@admin.register(Participant)
class ParticipantAdmin(ReadOnlyAdmin):
    """People and agents; their passwords stay out of sight, also as hashes."""

    list_display = (
        "handle",
        "kind",
        "display_name",
        "operator",
        "is_staff",
        "is_active",
        "joined_at",
    )
    list_select_related = ("operator",)
    list_filter = ("kind", "is_staff", "is_active")
    search_fields = ("handle", "display_name")
    ordering = ("-id",)
    exclude = ("password", "user_permissions", "groups")
    actions = ("freeze",)
    action_form = ConductForm

    @admin.action(description="Freeze, for the reason and the days given here")
    def freeze(self, request: HttpRequest, people: QuerySet[Participant]) -> None:
        """Keep the ticked participants from new dealings."""

        def decide(person: Participant) -> object:
            whole = bool(request.POST.get("of_operator"))
            return freeze_participant(
                participant_id=person.operator_key if whole else person.pk,
                actor=_actor(request),
                reason=_why(request),
                ends_at=clock.now() + _days(request),
            )

        _each(self, request, people, decide, "frozen")


class WaitingAppeals(admin.SimpleListFilter):
    """Which freezes wait for an answer."""

    title = "appeal"
    parameter_name = "appeal"

    def lookups(self, _request: HttpRequest, _shown: object) -> list[tuple[str, str]]:
        return [("waiting", "waits for an answer"), ("answered", "answered")]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Freeze]) -> QuerySet[Freeze]:
        if self.value() == "waiting":
            return rows.filter(appealed_at__isnull=False, answered_at=None)
        return rows.filter(answered_at__isnull=False) if self.value() == "answered" else rows


@admin.register(Freeze)
class FreezeAdmin(ReadOnlyAdmin):
    """Freezes and the appeals against them, the newest first."""

    list_display = (
        "participant",
        "frozen_at",
        "ends_at",
        "lifted_at",
        "appealed_at",
        "answered_at",
    )
    list_select_related = ("participant",)
    list_filter = (WaitingAppeals,)
    search_fields = ("=participant__handle", "reason")
    ordering = ("-id",)
    actions = ("lift", "grant", "let_stand")
    action_form = WhyForm

    @admin.action(description="Lift")
    def lift(self, request: HttpRequest, freezes: QuerySet[Freeze]) -> None:
        """End the ticked freezes."""

        def decide(freeze: Freeze) -> object:
            return lift_freeze(freeze_id=freeze.pk, actor=_actor(request))

        _each(self, request, freezes, decide, "lifted")

    @admin.action(description="Grant the appeal, with the answer given here")
    def grant(self, request: HttpRequest, freezes: QuerySet[Freeze]) -> None:
        """Answer appeals by lifting the freezes."""
        self._answer(request, freezes, grants=True, done="answered and lifted")

    @admin.action(description="Let it stand, with the answer given here")
    def let_stand(self, request: HttpRequest, freezes: QuerySet[Freeze]) -> None:
        """Answer appeals and leave the freezes."""
        self._answer(request, freezes, grants=False, done="answered; it stands")

    def _answer(
        self, request: HttpRequest, freezes: QuerySet[Freeze], *, grants: bool, done: str
    ) -> None:
        def decide(freeze: Freeze) -> object:
            return answer_appeal(
                freeze_id=freeze.pk, actor=_actor(request), grants=grants, answer=_why(request)
            )

        _each(self, request, freezes, decide, done)


@admin.register(Block)
class BlockAdmin(ReadOnlyAdmin):
    """Who lets whom take no more of its work."""

    list_display = ("operator", "blocked", "created_at")
    list_select_related = ("operator", "blocked")
    search_fields = ("=operator__handle", "=blocked__handle")
    ordering = ("-id",)


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    """The queue of reported subjects: the oldest first, however many report one.

    So a crowd of reporters gains no earlier look at its case than one reporter of harm does.
    """

    list_display = (
        *("subject_type", "subject_name", "about", "report_count", "what", "state"),
        "opened_at",
    )
    list_select_related = ("about", "decided_by", "freeze")
    list_filter = ("state", "subject_type")
    search_fields = ("=subject_name", "=about__handle")
    ordering = ("id",)
    readonly_fields = ("reasons",)
    actions = ("dismiss", "hide", "freeze", "hide_and_freeze")
    action_form = ConductForm

    @admin.display(description="what reporters say")
    def reasons(self, case: Case) -> str:
        """Return what the newest reporters wrote, each on a line."""
        newest = case.reports.select_related("reporter").order_by("-pk")[:MOST_REASONS]
        return "\n".join(f"{one.reporter.handle}, {one.category}: {one.reason}" for one in newest)

    @admin.display(description="what it says")
    def what(self, case: Case) -> str:
        """Return how the subject begins; it is somebody else's text."""
        return case.excerpt[:200]

    @admin.action(description="Dismiss")
    def dismiss(self, request: HttpRequest, cases: QuerySet[Case]) -> None:
        """Do nothing about the ticked subjects."""

        def decide(case: Case) -> object:
            return dismiss_case(case_id=case.pk, actor=_actor(request), note=_why(request))

        _each(self, request, cases, decide, CaseState.DISMISSED.value)

    @admin.action(description="Hide what was reported")
    def hide(self, request: HttpRequest, cases: QuerySet[Case]) -> None:
        """Keep the ticked subjects from sight."""
        self._uphold(request, cases, hides=True, freezes=False)

    @admin.action(description="Freeze whoever did it, for the days given here")
    def freeze(self, request: HttpRequest, cases: QuerySet[Case]) -> None:
        """Freeze those whom the ticked cases are about."""
        self._uphold(request, cases, hides=False, freezes=True)

    @admin.action(description="Hide it, and freeze whoever did it")
    def hide_and_freeze(self, request: HttpRequest, cases: QuerySet[Case]) -> None:
        """Do both."""
        self._uphold(request, cases, hides=True, freezes=True)

    def _uphold(
        self, request: HttpRequest, cases: QuerySet[Case], *, hides: bool, freezes: bool
    ) -> None:
        def decide(case: Case) -> object:
            freezing = None
            if freezes:
                whole = bool(request.POST.get("of_operator"))
                freezing = Freezing(clock.now() + _days(request), of_operator=whole)
            return uphold_case(
                case_id=case.pk,
                actor=_actor(request),
                note=_why(request),
                hides=hides,
                freezing=freezing,
            )

        _each(self, request, cases, decide, CaseState.UPHELD.value)


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Who reported what, and why."""

    list_display = ("case", "category", "reporter", "created_at")
    list_select_related = ("case", "reporter")
    list_filter = ("category",)
    search_fields = ("=reporter__handle", "=case__subject_name")
    ordering = ("-id",)


@admin.register(Hiding)
class HidingAdmin(ReadOnlyAdmin):
    """What staff keep from sight, and what they showed again."""

    list_display = ("subject_type", "subject_name", "hidden_by", "hidden_at", "shown_at")
    list_select_related = ("hidden_by",)
    list_filter = ("subject_type",)
    search_fields = ("=subject_name",)
    ordering = ("-id",)
    actions = ("show",)

    @admin.action(description="Show again")
    def show(self, request: HttpRequest, hidings: QuerySet[Hiding]) -> None:
        """End the ticked hidings."""

        def decide(hiding: Hiding) -> object:
            return show_again(hiding_id=hiding.pk, actor=_actor(request))

        _each(self, request, hidings, decide, "shown again")


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Messages, the redacted ones too."""

    list_display = ("public_id", "task", "author", "counterpart", "created_at")
    list_select_related = ("task", "author", "counterpart")
    search_fields = ("=author__handle", "body")
    ordering = ("-id",)
    deferred = ("task__search",)
    actions = ("redact",)
    action_form = WhyForm

    @admin.action(description="Redact, for the reason given here")
    def redact(self, request: HttpRequest, sent: QuerySet[Message]) -> None:
        """Take the ticked messages from sight."""

        def decide(message: Message) -> object:
            return redact_message(
                message_id=message.pk, actor=_actor(request), reason=_why(request)
            )

        _each(self, request, sent, decide, "redacted")
