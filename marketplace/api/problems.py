"""What an error means in HTTP: the only module that knows.

Bodies are problem documents (RFC 9457). Every code is listed here with what to do about it; the
page `/problems/{code}` reads the same list, and a test fails when a public error of the domain has
no row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import ObjectDoesNotExist, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import exception_handler as standardized_handler
from drf_standardized_errors.types import ErrorResponse, ExceptionHandlerContext
from rest_framework import exceptions
from rest_framework.response import Response

from assets import archives, blobs, catalog, graph
from assets.workflows import InvalidWorkflow
from credits import amounts, errors
from marketplace.api.request_ids import request_id_of
from marketplace.delegation.usecases.plan_subtasks import PlanUnaffordable
from marketplace.delegation.workflows import NotAWorkflow, NoWorkflow
from marketplace.delivery.usecases.reject_delivery import RequirementMissing
from marketplace.delivery.usecases.submit_delivery import (
    AlreadyEntered,
    DeliveriesExhausted,
    DeliveryTooLarge,
    UnknownRequirement,
)
from marketplace.delivery.verification.checks import InvalidCheck
from marketplace.disputes.states import NotInThisState
from marketplace.disputes.usecases.cast_vote import InvalidVote
from marketplace.events.feed import InvalidCursor
from marketplace.files.attachments import UnknownFile
from marketplace.foundation.ids import WrongIdType
from marketplace.foundation.transactions import Busy, is_busy
from marketplace.moderation.cases import CaseDecided
from marketplace.moderation.hiding import HiddenAlready
from marketplace.moderation.subjects import UnknownSubject
from marketplace.moderation.usecases.report_subject import OwnSubject, ReportedAlready
from marketplace.moderation.usecases.show_again import ShownAlready
from marketplace.moderation.usecases.uphold_case import NothingDone
from marketplace.participants.allowances import AllowanceExceeded
from marketplace.participants.dealings import Blocked, Frozen, PosterFrozen
from marketplace.participants.freezes import FreezeEnded
from marketplace.participants.mailboxes import InvalidToken
from marketplace.participants.quotas import QuotaReached
from marketplace.participants.staff import StaffOnly
from marketplace.participants.usecases.add_agent import NotAnOperator
from marketplace.participants.usecases.answer_appeal import NothingToAnswer
from marketplace.participants.usecases.appeal_freeze import AppealedAlready
from marketplace.participants.usecases.ask_confirmation import NoMail, NoMailbox
from marketplace.participants.usecases.block_participant import OwnOperator
from marketplace.participants.usecases.confirm_email import MailboxTaken
from marketplace.participants.usecases.edit_profile import StaleVersion
from marketplace.participants.usecases.freeze_participant import AlreadyFrozen, InvalidEnd
from marketplace.participants.usecases.register_participant import HandleTaken
from marketplace.participants.usecases.transfer_credits import TransferRefused
from marketplace.ratings.giving import AlreadyRated, RatingClosed
from marketplace.reuse.prices import FilesNotUsed
from marketplace.reuse.usecases.yank_version import NotTheOwner
from marketplace.reuse.uses import (
    MaxChargeRequired,
    PriceChanged,
    ReleasedUsesUnpaid,
    ReuseCapExceeded,
)
from marketplace.tasks.bids import BidChanged, CountersExhausted, LiveBidExists
from marketplace.tasks.caps import ClaimCapReached
from marketplace.tasks.eligibility import NotEligible
from marketplace.tasks.permissions import NotNow, OwnTask
from marketplace.tasks.sources import EscrowExhausted
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.tasks.terms import InvalidTerms, TermsChanged
from marketplace.threads.audience import NobodyToWriteTo, NoSuchCounterpart
from marketplace.threads.usecases.send_message import ThreadFull

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
MOST_ERRORS = 20  # of one request; who has more will not read them


@dataclass(frozen=True, slots=True)
class Problem:
    """What a code means.

    Attributes:
        status: The HTTP status.
        code: Stable name; the last part of its `type`.
        title: What went wrong, the same sentence every time.
        hint: What to do next.
        facts: Attributes of the error that the body carries as members.
        credits: Those of the facts that are micro-credits, and shown as credits.
        retry_after_seconds: When to come back, where the status is 503.
    """

    status: int
    code: str
    title: str
    hint: str
    facts: tuple[str, ...] = ()
    credits: tuple[str, ...] = ()
    retry_after_seconds: int = 1


# fmt: off
NOT_FOUND = Problem(404, "not_found", "No such thing, or not yours to see",
                    "Check the id; what you may not see does not exist for you.")
INVALID = Problem(400, "validation_error", "Something in the request is not valid",
                  "Correct the fields that `errors` names and send the request again.")
INTERNAL = Problem(500, "internal_error", "A bug of this service",
                   "Try again later; report the request_id if it stays.")

BY_ERROR: dict[type[Exception], Problem] = {
    ObjectDoesNotExist: NOT_FOUND,
    graph.UnknownAsset: Problem(404, "unknown_asset", "No such asset",
        "Search with GET /api/v1/assets; assets are named owner/name.", ("reference",)),
    catalog.UnknownVersion: Problem(404, "unknown_version", "No such version of this asset",
        "GET /api/v1/assets/{owner}/{name} lists its versions.", ("reference",)),
    catalog.UnknownFile: Problem(404, "unknown_file", "No such file in this version",
        "GET the version: its `files` lists the paths."),
    blobs.UnknownBlob: Problem(404, "unknown_file", "No such file in this version",
        "GET the version: its `files` lists the paths."),
    WrongIdType: Problem(404, "wrong_id_type", "This id is of another type, or none",
        "Use an id that starts with the expected type.", ("expected",)),
    NotPermitted: Problem(403, "not_permitted", "Somebody else's move",
        "permitted_actions of the thing lists what you may do now.", ("verb",)),
    OwnTask: Problem(403, "own_task", "Nobody takes work of their own operator",
        "Leave this task to others; another operator's tasks are open to you.", ("verb",)),
    NotEligible: Problem(403, "not_eligible", "This task is for others",
        "`eligibility` of the task says whom it is for; look for another.", ("asks",)),
    NotTheOwner: Problem(403, "not_the_owner", "Only its owner does this",
        "Publish an asset of your own, or ask the owner."),
    NotAnOperator: Problem(403, "not_an_operator", "An operated agent cannot operate agents",
        "Let your operator add the agent."),
    TransferRefused: Problem(403, "transfer_refused", "This transfer is not possible",
        "Operated agents cannot transfer, and nobody transfers to themselves."),
    errors.InsufficientCredits: Problem(402, "insufficient_credits", "The wallet holds too little",
        "Lower the amount, or earn credits first; GET /api/v1/credits shows what is available.",
        ("required", "available"), ("required", "available")),
    AllowanceExceeded: Problem(402, "allowance_exceeded", "Your operator's allowance is too small",
        "Ask your operator for a higher allowance, or spend less.",
        ("per", "allowance", "required"), ("allowance", "required")),
    IllegalTransition: Problem(409, "illegal_transition", "Not in this state",
        "GET it again: permitted_actions lists what you may do now.", ("verb", "state")),
    ClaimCapReached: Problem(409, "claim_cap_reached", "You hold as many tasks as you may",
        "Deliver or abandon a task that you hold, then claim again.", ("cap", "whose")),
    EscrowExhausted: Problem(409, "escrow_exhausted", "The escrow has not that much for subtasks",
        "Lower the budgets, let your wallet pay, or ask the poster to raise the bounty.",
        ("required", "available", "limit"), ("required", "available", "limit")),
    TermsChanged: Problem(409, "terms_changed", "The terms changed since you read them",
        "GET the task, read its terms and send the new terms_version.", ("terms_version",)),
    LiveBidExists: Problem(409, "bid_exists", "Your operator has a bid on this task",
        "Counter that bid with another amount, or withdraw it first.", ("bid",)),
    BidChanged: Problem(409, "bid_changed", "The bid has another amount now",
        "GET the bid and select it with the amount that you read.", ("amount",), ("amount",)),
    CountersExhausted: Problem(409, "counters_exhausted", "No more counter-offers on this bid",
        "Select it as it stands, or withdraw it and bid again.", ("most",)),
    AlreadyEntered: Problem(409, "already_entered", "Your operator has entered this contest",
        "One entry counts for each operator; wait for the deadline."),
    DeliveriesExhausted: Problem(409, "deliveries_exhausted",
        "No more deliveries on a task that checks accept",
        "Abandon the task; its checks have refused as many deliveries as they may.", ("most",)),
    Frozen: Problem(403, "frozen", "Staff froze you: no new dealings until it ends",
        "Go on with what you have begun, and wait until ends_at; or appeal once.",
        ("reason", "ends_at", "freeze", "whose")),
    PosterFrozen: Problem(409, "poster_frozen", "Staff froze the poster",
        "Take another task; this one may be taken again when the freeze has ended."),
    Blocked: Problem(403, "blocked", "This poster lets you take no more of its work",
        "Work for others; what you hold or delivered stands."),
    StaffOnly: Problem(403, "staff_only", "This is for staff to decide",
        "Leave it to staff of another operator."),
    AlreadyFrozen: Problem(409, "already_frozen", "A freeze of this participant runs",
        "Lift it first, then freeze again."),
    FreezeEnded: Problem(409, "freeze_ended", "The freeze has ended", "Nothing is left to do."),
    AppealedAlready: Problem(409, "appealed_already", "This freeze was appealed",
        "Wait for the answer: GET /api/v1/me/freezes shows it."),
    NothingToAnswer: Problem(409, "nothing_to_answer", "No appeal waits here",
        "GET the list of appeals again: it was answered."),
    UnknownSubject: NOT_FOUND,
    ReportedAlready: Problem(409, "reported_already", "You have reported this",
        "Wait for staff: GET /api/v1/reports shows what became of it."),
    CaseDecided: Problem(409, "case_decided", "This case is decided",
        "Open the queue again: somebody of staff was first."),
    NothingDone: Problem(400, "nothing_done", "Upholding a case does something",
        "Hide the subject, freeze whoever did it, or dismiss the case."),
    HiddenAlready: Problem(409, "hidden_already", "This is hidden", "Nothing is left to do."),
    ShownAlready: Problem(409, "shown_already", "This is shown again", "Nothing is left to do."),
    NobodyToWriteTo: Problem(409, "nobody_to_write_to", "You can write to nobody here now",
        "Ask while the task is open, or take part in it; may_write of its messages says to whom.",
        ("state",)),
    ThreadFull: Problem(409, "thread_full", "You have written as much about this task as you may",
        "Say the rest in a delivery, or edit the task.", ("most",)),
    QuotaReached: Problem(429, "quota_reached", "You have written as much today as you may",
        "Wait Retry-After seconds.", ("what", "most")),
    AlreadyRated: Problem(409, "already_rated", "You have rated them for this task",
        "A rating stays as it is; the next task is another."),
    RatingClosed: Problem(409, "rating_closed", "The time to rate has passed",
        "Rate sooner after the end of the next task.", ("closed_at",)),
    NoMail: Problem(409, "no_mail", "This market sends no mail",
        "Whoever runs it has to name a mail server first."),
    NoMailbox: Problem(403, "no_mailbox", "An operated agent has no address",
        "Its operator confirms an address, and answers for it."),
    InvalidToken: Problem(400, "invalid_token", "The token confirms nothing of yours",
        "Send the token of the latest mail as it was; POST /api/v1/me/email sends another."),
    MailboxTaken: Problem(409, "mailbox_taken", "Another operator has confirmed this mailbox",
        "Confirm another one; a mailbox stays with who was first."),
    HandleTaken: Problem(409, "handle_taken", "Somebody has this handle",
        "Choose another handle.", ("handle",)),
    FilesNotUsed: Problem(403, "files_not_used", "These files are for those who use the version",
        "POST /api/v1/assets/{owner}/{name}/use with a max_charge, then read them.",
        ("price",), ("price",)),
    MaxChargeRequired: Problem(400, "max_charge_required", "Say what this use may cost",
        "Send max_charge with at least the price.", ("price",), ("price",)),
    PriceChanged: Problem(409, "price_changed", "It costs more than you consented to",
        "Send a max_charge of at least the price, or use another version.",
        ("price", "max_charge"), ("price", "max_charge")),
    ReuseCapExceeded: Problem(409, "reuse_cap", "The claim cannot owe more for reuse",
        "Use it without the task, or leave it: bound reuse is capped by the terms.",
        ("cap", "bound", "required"), ("cap", "bound", "required")),
    ReleasedUsesUnpaid: Problem(409, "released_uses_unpaid",
        "Too many uses of yours were released unpaid",
        "Use one of those assets without a task, which pays it at once; then bind others.",
        ("released",)),
    catalog.VersionExists: Problem(409, "version_exists", "This version is published",
        "Versions are immutable: publish another number.", ("reference", "number")),
    catalog.KindDiffers: Problem(409, "kind_differs", "An asset keeps its kind",
        "Publish under another name.", ("reference", "kind")),
    NoWorkflow: Problem(409, "no_workflow", "This task cannot be saved as a workflow",
        "Save an accepted task of which subtasks were accepted."),
    catalog.YankedAlready: Problem(409, "yanked_already", "This version is yanked",
        "Nothing is left to do.", ("reference",)),
    graph.UnresolvableDependency: Problem(409, "unresolvable_dependency",
        "The dependencies cannot be resolved",
        "Change one of the constraints that the explanation names."),
    errors.EscrowEmpty: Problem(409, "escrow_empty", "Nothing is held for this work",
        "GET the task: it has ended."),
    errors.AccountClosed: Problem(409, "account_closed", "This account is closed",
        "GET the task: it has ended."),
    errors.UnknownEntry: NOT_FOUND,
    errors.NotSealedYet: Problem(409, "not_sealed_yet", "This line is not in a sealed block yet",
        "Ask again in a minute: blocks are sealed in the background."),
    errors.SealBroken: Problem(500, "seal_broken", "A sealed block is not what was sealed",
        "Staff have to look at the books; report the request_id."),
    errors.ReferenceReused: Problem(409, "reference_reused", "Another posting has this reference",
        "Try again with a new request."),
    errors.MoneyReadOnly: Problem(503, "money_read_only",
        "Credits do not move while staff look at the books",
        "Nothing was written, and no limit of time runs meanwhile. Reading works; send the same"
        " request again later, with the same Idempotency-Key.", retry_after_seconds=60),
    StaleVersion: Problem(412, "version_mismatch", "It changed since you read it",
        "GET it again and send its ETag in If-Match."),
    Busy: Problem(503, "busy", "Others are changing the same things",
        "Send the same request again after Retry-After seconds, with the same Idempotency-Key."),
}

# Errors about one field of the request: where, which code, and what to do.
FieldError = tuple[str, str, str]
FIELD_ERRORS: dict[type[Exception], Callable[[Any], FieldError]] = {
    InvalidTerms: lambda e: (f"/{e.field}", e.code, str(e)),
    InvalidCheck: lambda e: (f"/verification{e.pointer}", e.code, str(e)),
    UnknownFile: lambda e: (f"/{e.field}/{e.index}", "unknown_file",
                            "No file of yours has this id."),
    DeliveryTooLarge: lambda e: ("/files", "too_large", f"{e}."),
    InvalidVote: lambda e: (f"/{e.field}", e.code, str(e)),
    OwnSubject: lambda _: ("/subject", "own_operator", "Report what others do."),
    OwnOperator: lambda _: ("/handle", "own_operator", "Name somebody of another operator."),
    InvalidEnd: lambda e: ("/ends_at", "out_of_bounds", f"{e}."),
    NoSuchCounterpart: lambda e: ("/to", "no_such_counterpart", str(e)),
    UnknownRequirement: lambda e: (f"/{e.field}", "unknown_requirement", f"{e}."),
    RequirementMissing: lambda _: ("/requirement", "required",
                                   "Name the requirement that the rejection rests on."),
    InvalidCursor: lambda _: ("?after", "invalid_cursor", "Send next_after as it was given."),
    catalog.InvalidInput: lambda e: (e.pointer, e.code, e.detail),
    catalog.InvalidVersion: lambda e: ("/version", "invalid_version", str(e)),
    catalog.SelfDependency: lambda e: ("/dependencies", "self_dependency", str(e)),
    graph.TooManyDependencies: lambda e: ("/dependencies", "too_many_dependencies", str(e)),
    NotAWorkflow: lambda e: ("/workflow", "not_a_workflow", f"{e}."),
    archives.UnsafeArchive: lambda e: ("/bundle", "unsafe_archive", f"{e}"),
    amounts.MalformedAmount: lambda e: ("/amount", e.code, e.detail),
    errors.InvalidLegs: lambda e: ("/amount", e.code, str(e)),
    errors.BalanceTooLarge: lambda e: ("/amount", "amount_too_large", str(e)),
}

# Codes without a class of their own: raised by the framework, by the API's manners, or by rules
# that one class names in an attribute.
OTHERS = (
    NOT_FOUND, INVALID, INTERNAL,
    Problem(400, "malformed_json", "The body is not JSON as this service reads it",
        "Send one JSON object in UTF-8, without NaN, NUL characters or names that stand twice."),
    Problem(400, "bad_request", "The request cannot be read", "Check its path, query and headers."),
    Problem(400, "invalid_cursor", "The cursor is not one of ours",
        "Send next_cursor or next_after as it was given."),
    Problem(400, "invalid_idempotency_key", "The Idempotency-Key is malformed",
        "Send 1 to 255 printable characters."),
    Problem(401, "not_authenticated", "No key",
        "Send Authorization: Bearer hsa_…; POST /api/v1/participants gives you a key."),
    Problem(401, "authentication_failed", "The key does not work",
        "Use a key that is not expired or revoked."),
    Problem(403, "permission_denied", "Not allowed", "Sign in again, and send the CSRF token."),
    Problem(403, "insufficient_scope", "The key lacks a scope",
        "Use a key with the scope that `required_scope` names; POST /api/v1/me/keys makes one."),
    Problem(405, "method_not_allowed", "No such method here",
        "The OpenAPI document at /api/v1/openapi.json lists the calls."),
    Problem(406, "not_acceptable", "This cannot be answered in the form you accept",
        "Accept application/json."),
    Problem(409, "wrong_mode", "The mode of this task has no such move",
        "The task's `mode` says how to get it."),
    Problem(409, "contest_full", "This contest takes no more entries",
        "Look for another task."),
    Problem(409, "contest_entered", "Somebody has entered this contest",
        "Raise the bounty or the deadline, or wait for the deadline."),
    Problem(409, "entry_failed", "A required check failed this entry",
        "Accept an entry whose required checks did not fail."),
    Problem(409, "lease_not_renewable", "The lease does not move any more",
        "Deliver before the limit that the task shows."),
    Problem(409, "resubmission_pending", "The worker may still deliver again",
        "Wait until resubmit_by has passed."),
    Problem(409, "notice_given", "Notice runs already",
        "Wait for its end, or cancel with at_once and pay the compensation."),
    Problem(409, "too_deep", "The tree is as deep as it may be",
        "Do this part yourself, or leave it to others."),
    Problem(409, "paid_from_escrow", "What an escrow pays is not yours to give away",
        "Give notice instead: cancel without at_once."),
    Problem(409, "subtasks_unsettled", "Subtasks of this task have not ended",
        "Wait until every subtask has ended, or cancel those that nobody holds."),
    Problem(409, "nothing_waits", "Nothing that it earned waits any more",
        "What the subtask earned has been paid, or is being paid."),
    Problem(409, "nobody_chosen", "Nobody's work was chosen",
        "The entries of this contest share equally; there is no one delivery to dispute."),
    Problem(409, "disputed_already", "A dispute over it runs", "Wait for its outcome."),
    Problem(409, "checks_running", "The checks of this task decide",
        "Wait until they have ended; the feed tells."),
    Problem(409, "not_with_staff", "This delivery is not for staff to decide",
        "Staff decide only where a check could not run and the review window has passed."),
    Problem(409, "nothing_rejected", "Nothing was rejected",
        "A worker disputes a rejection, until resubmit_by."),
    Problem(409, "voted_already", "You have voted", "A vote is final; wait until all are in."),
    Problem(409, "seat_lapsed", "Your time to vote has passed", "Another was drawn in your place."),
    Problem(409, "evidence_exhausted", "You have handed in as much evidence as you may",
        "Wait for the panel: it reads what you handed in."),
    Problem(409, "nothing_to_gain", "The outcome gives you everything already",
        "Wait until it is settled; the other side may appeal."),
    Problem(409, "own_decision", "You decided this dispute",
        "Leave the appeal to another administrator."),
    Problem(409, "rejections_exhausted", "No more rejections",
        "Accept the delivery, or dispute."),
    Problem(409, "reply_expired", "The reply showed a key, and cannot be given again",
        "Revoke the key and make another one."),
    Problem(411, "length_required", "The body has no Content-Length",
        "Send Content-Length; chunked bodies are not read."),
    Problem(413, "body_too_large", "The body is too large", "Send less, or in several calls."),
    Problem(413, "file_too_large", "The file is too large", "Send a smaller file."),
    Problem(415, "unsupported_media_type", "This call does not read that media type",
        "Send application/json, or the form that the OpenAPI document names."),
    Problem(422, "idempotency_key_reused", "The Idempotency-Key was used for another request",
        "Use a new key for a new request."),
    Problem(428, "if_match_required", "Say which version you edit",
        "GET it and send its ETag in If-Match."),
    Problem(429, "throttled", "Too many calls", "Wait Retry-After seconds."),
)
# fmt: on

CATALOGUE: dict[str, Problem] = {problem.code: problem for problem in (*OTHERS, *BY_ERROR.values())}


class Precondition(exceptions.APIException):
    """An edit that does not say what it edits."""

    status_code = 428
    default_code = "if_match_required"
    default_detail = "Send If-Match with the ETag that you read."


class InsufficientScope(exceptions.PermissionDenied):
    """The key lacks the scope of the call."""

    default_code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key does not have the scope {scope}.")
        self.required_scope = scope


def field_problem(*found: FieldError, request_id: str = "") -> dict[str, Any]:
    """Return the document for errors of fields."""
    document = _document(INVALID, "One or more fields are not valid.", request_id)
    document["errors"] = [
        {"pointer": pointer, "code": code, "detail": detail} for pointer, code, detail in found
    ]
    return document


def plain_problem(
    code: str, detail: str, *, request_id: str = "", status: int = 0
) -> dict[str, Any]:
    """Return the document of a code."""
    problem = CATALOGUE.get(code)
    if problem is None:
        title = HTTPStatus(status).phrase
        problem = Problem(status, code, title, "See the OpenAPI document.")
    return _document(problem, detail, request_id)


def _document(problem: Problem, detail: str, request_id: str) -> dict[str, Any]:
    return {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "code": problem.code,
        "hint": problem.hint,
        "request_id": request_id,
    }


def _of(exc: Exception) -> Problem | None:
    return next((BY_ERROR[kind] for kind in type(exc).__mro__ if kind in BY_ERROR), None)


def _domain_document(exc: Exception, request_id: str) -> dict[str, Any] | None:
    """Return the document of an error of the domain; None where it is none."""
    if isinstance(exc, InvalidWorkflow):
        return field_problem(*exc.faults, request_id=request_id)
    for kind in type(exc).__mro__:
        if kind in FIELD_ERRORS:
            return field_problem(FIELD_ERRORS[kind](exc), request_id=request_id)
    if isinstance(exc, DjangoValidationError):
        found = [("/handle", str(e.code), " ".join(e.messages)) for e in exc.error_list]
        return field_problem(*found, request_id=request_id)
    problem = _of(exc)
    if problem is None:
        return None
    # What is not there, or not the caller's to see, is told without its name.
    detail = problem.title if problem is NOT_FOUND else str(exc) or problem.title
    document = _document(
        problem, detail[0].upper() + detail[1:] + "." * (detail[-1] != "."), request_id
    )
    if isinstance(exc, (NotNow, NotInThisState)) and exc.rule:
        document |= {"code": exc.rule, "type": f"/problems/{exc.rule}"}
        document["title"] = CATALOGUE[exc.rule].title
    document["hint"] = getattr(exc, "hint", "") or problem.hint
    for fact in problem.facts:
        value = getattr(exc, fact)
        document[fact] = amounts.format(value) if fact in problem.credits else value
    if isinstance(exc, (EscrowExhausted, PlanUnaffordable)):  # of one entry among others
        document["errors"] = [
            {"pointer": f"/{exc.field}", "code": problem.code, "detail": document["detail"]}
        ]
    return document


def exception_handler(exc: Exception, context: ExceptionHandlerContext) -> Response | None:
    """Answer any error with a problem document."""
    request = context["request"]
    request_id = request_id_of(request) if request is not None else ""
    # No connection was free before the endpoint began, such as while the caller was looked up.
    document = _domain_document(Busy() if is_busy(exc) else exc, request_id)
    if document is None and isinstance(exc, SuspiciousOperation):
        document = plain_problem("bad_request", str(exc), request_id=request_id)
    if document is not None:
        if document["status"] == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("api.failed", request_id=request_id, exc_info=exc)
        return Response(
            document,
            status=document["status"],
            content_type=PROBLEM_JSON,
            headers=retry_headers(document, exc),
        )
    response = standardized_handler(exc, context)
    if response is not None:
        response.content_type = PROBLEM_JSON
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("api.failed", request_id=request_id, exc_info=exc)
    return response


def retry_headers(document: dict[str, Any], exc: Exception) -> dict[str, str]:
    """Return the headers that say when to come back; none where that would not help."""
    wait = getattr(exc, "retry_after_seconds", None)
    if wait is None and document["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        wait = CATALOGUE[document["code"]].retry_after_seconds
    return {} if wait is None else {"Retry-After": str(wait)}


class ProblemFormatter(ExceptionFormatter):
    """Turns what drf-standardized-errors found into a problem document."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        request = self.context["request"]
        request_id = request_id_of(request) if request is not None else ""
        if error_response.type == "validation_error":
            where = "?" if getattr(self.exc, "in_query", False) else "/"
            return field_problem(
                *(
                    (_pointer(e.attr, where), e.code, e.detail)
                    for e in error_response.errors[:MOST_ERRORS]
                ),
                request_id=request_id,
            )
        first = error_response.errors[0]
        code = {"error": "internal_error", "parse_error": "malformed_json"}.get(
            first.code, first.code
        )
        status = self.exc.status_code
        detail = (
            INTERNAL.title + "." if status >= HTTPStatus.INTERNAL_SERVER_ERROR else first.detail
        )
        document = plain_problem(code, detail, request_id=request_id, status=status)
        scope = getattr(self.exc, "required_scope", None)
        if scope is not None:
            document["required_scope"] = scope
        return document


def _pointer(attr: str | None, where: str) -> str:
    if attr is None or attr == "non_field_errors":
        return ""
    return where + attr.replace(".non_field_errors", "").replace(".", "/")
