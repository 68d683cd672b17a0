"""Django's admin: everything to be seen, nothing to be changed.

State changes through use cases and credits move through the ledger; a field edited here would do
neither. Staff sign in like everybody else.
"""

import uuid
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth.models import Group
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from rest_framework.exceptions import ValidationError

from assets.models import Asset, Version
from credits import amounts, seals
from credits.ledger import AccountId
from credits.models import Account, Entry, Fold, Posting, SealedBlock
from marketplace.api.fields import ShareField, TextField
from marketplace.api.wallets import LINE_IDS, MOST_NUMBER
from marketplace.delivery.models import CheckRun, Delivery
from marketplace.disputes.models import Decision, Dispute, Evidence, Seat, outcome_of
from marketplace.disputes.states import DisputeState
from marketplace.disputes.usecases.decide_dispute import decide_dispute
from marketplace.events.models import Event, Notification
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.ratings.models import Rating
from marketplace.reuse.models import Earning, Use
from marketplace.tasks.models import Task
from marketplace.tasks.states import IllegalTransition, NotPermitted
from marketplace.web.wallet import KINDS

if TYPE_CHECKING:  # generic in the stubs only
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

ShownAccount: TypeAlias = Any  # an Account with what AccountAdmin.get_queryset adds to it

NOTHING = "-"
ENTRIES_SHOWN = 100
FOLDS_SHOWN = 50
POSTINGS_FOUND = 1_000  # of an account that is searched for
ACCOUNTS_SEARCHED = 3
MOST_ACCOUNTS = 2**62  # a number beyond has no account

admin.site.site_header = admin.site.site_title = "Hansa"
admin.site.index_title = "What there is"
admin.site.site_url = "/"
# One way to sign in, with its limits; whoever is signed in and no staff is refused.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# Nobody has groups or addresses here; what is not used is not shown.
admin.site.unregister(Group)
admin.site.unregister(EmailAddress)


class ReadOnlyAdmin(_ModelAdmin):
    """Rows for staff to find and read.

    Attributes:
        deferred: Columns that a list does not need, and that are large.
    """

    actions: Sequence[str] | None = None
    show_full_result_count = False  # counting a large table is slower than searching it
    list_per_page = 50
    deferred: ClassVar[tuple[str, ...]] = ()

    class Media:
        css = {"all": ["ops/admin.css"]}

    def has_add_permission(self, *_asked: object) -> bool:
        return False

    def has_change_permission(self, *_asked: object) -> bool:
        return False

    def has_delete_permission(self, *_asked: object) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, _row: Model | None = None) -> bool:
        return self.has_module_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.deferred)


@admin.display(description="credits")
def _credits(micro: int | None) -> str:
    return "" if micro is None else amounts.format(micro)


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks with their terms and limits."""

    list_display = ("public_id", "title", "state", "credits", "poster", "worker", "deadline")
    list_select_related = ("poster", "worker")
    list_filter = ("state", "acceptance")
    search_fields = ("title", "poster__handle", "worker__handle")
    ordering = ("-id",)
    deferred = ("search",)

    @admin.display(description="bounty", ordering="bounty")
    def credits(self, task: Task) -> str:
        """Return the bounty in credits."""
        return amounts.format(task.bounty)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries and what became of them."""

    list_display = ("public_id", "task", "number", "worker", "state", "created_at")
    list_select_related = ("task", "worker")
    list_filter = ("state",)
    search_fields = ("worker__handle", "task__title")
    ordering = ("-id",)
    deferred = ("task__search",)


@admin.register(CheckRun)
class CheckRunAdmin(ReadOnlyAdmin):
    """Runs of checks, with their attempts and verdicts."""

    list_display = ("name", "type", "delivery", "required", "state", "attempts", "duration_ms")
    list_select_related = ("delivery",)
    list_filter = ("state", "type")
    search_fields = ("name", "detail")
    ordering = ("-id",)


class DecisionForm(ActionForm):
    """What an administrator decides about the disputes that are ticked."""

    worker_share = forms.CharField(
        required=False, label="Worker's share, from 0 to 1", max_length=6
    )
    rationale = forms.CharField(required=False, label="Why; both sides read it", max_length=5000)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """Disputes; those that wait for an administrator can be decided here.

    Who sits on a panel, and how it votes, stays out of sight until it is decided.
    """

    list_display = ("public_id", "task", "cause", "state", "opener", "credits", "due_at")
    list_select_related = ("task", "opener")
    list_filter = ("state", "cause")
    search_fields = ("task__title", "opener__handle")
    ordering = ("-id",)
    deferred = ("task__search", "pool")
    exclude = ("pool", "seed", "deposit")
    readonly_fields = ("credits",)
    actions = ("decide",)
    action_form = DecisionForm

    def view_on_site(self, dispute: Dispute) -> str:
        """Return the page where the whole case is read and decided."""
        return reverse("dispute", args=[dispute.public_id])

    @admin.display(description="deposit", ordering="deposit")
    def credits(self, dispute: Dispute) -> str:
        """Return the deposit in credits."""
        return amounts.format(dispute.deposit)

    @admin.action(description="Decide, with the share and the reason given here")
    def decide(self, request: HttpRequest, disputes: QuerySet[Dispute]) -> None:
        """Decide each of the ticked disputes as an administrator."""
        try:
            share = ShareField().run_validation(request.POST.get("worker_share"))
            why = TextField(max_length=5000).run_validation(request.POST.get("rationale"))
        except ValidationError:
            self.message_user(request, "Say a share from 0 to 1, and why.", messages.ERROR)
            return
        assert isinstance(request.user, Participant), "the admin requires signing in"
        for dispute in disputes:
            try:
                decide_dispute(
                    dispute_id=dispute.pk,
                    actor=request.user,
                    outcome=outcome_of(share),
                    worker_share=share,
                    rationale=why,
                )
            except (NotPermitted, IllegalTransition) as error:
                hint = getattr(error, "hint", "")
                self.message_user(request, f"{dispute}: {error}. {hint}", messages.ERROR)
            else:
                self.message_user(request, f"{dispute} is decided.")


@admin.register(Seat)
class SeatAdmin(ReadOnlyAdmin):
    """Seats of panels that have decided, with their votes."""

    list_display = ("dispute", "position", "redraw", "panelist", "state", "outcome", "fee")
    list_select_related = ("dispute", "panelist")
    list_filter = ("state",)
    search_fields = ("=panelist__handle",)
    ordering = ("-id",)
    deferred = ("dispute__pool",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        hidden = (DisputeState.EVIDENCE, DisputeState.VOTING)
        return super().get_queryset(request).exclude(dispute__state__in=hidden)


@admin.register(Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    """What both sides handed in."""

    list_display = ("dispute", "author", "created_at")
    list_select_related = ("dispute", "author")
    search_fields = ("=author__handle",)
    ordering = ("-id",)
    deferred = ("dispute__pool",)


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """What was decided, by whom, and about which appeals."""

    list_display = ("dispute", "on_appeal", "outcome", "share_bps", "decided_by", "administrator")
    list_select_related = ("dispute", "administrator")
    list_filter = ("decided_by", "on_appeal")
    search_fields = ("=administrator__handle",)
    ordering = ("-id",)
    deferred = ("dispute__pool",)


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    """What both sides of a task said of each other; hidden ones are staff's to read, too."""

    list_display = ("public_id", "task", "rater", "rated", "score", "created_at", "shown_at")
    list_select_related = ("task", "rater", "rated")
    search_fields = ("=rater__handle", "=rated__handle")
    ordering = ("-id",)
    deferred = ("task__search",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The log of what happened."""

    list_display = ("type", "subject_type", "subject_id", "actor", "created_at")
    list_select_related = ("actor",)
    search_fields = ("=type", "=subject_id", "=actor__handle")
    ordering = ("-id",)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Who was told what."""

    list_display = ("participant", "event_type", "read_at", "created_at")
    list_select_related = ("participant", "event")
    search_fields = ("=participant__handle", "=event__type")
    ordering = ("-id",)

    @admin.display(description="event")
    def event_type(self, notification: Notification) -> str:
        """Return what happened."""
        return notification.event.type


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    """Assets, as their latest versions show them."""

    list_display = ("reference", "kind", "license", "created_at")
    list_select_related = ("owner",)
    list_filter = ("kind",)
    search_fields = ("name", "owner__handle", "description")
    ordering = ("-id",)
    deferred = ("search",)


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    """Versions of assets."""

    list_display = ("reference", "digest", "size", "file_count", "published_at", "yanked_at")
    list_select_related = ("asset__owner",)
    search_fields = ("asset__name", "asset__owner__handle", "=digest", "=source_reference")
    ordering = ("-id",)
    deferred = ("asset__search",)


@admin.register(Use)
class UseAdmin(ReadOnlyAdmin):
    """Uses of assets, and what they owe or paid."""

    list_display = ("public_id", "version", "participant", "occasion", "credits", "state")
    list_select_related = ("version__asset__owner", "participant")
    list_filter = ("state",)
    search_fields = ("=participant__handle", "=asset__name", "=occasion")
    ordering = ("-id",)
    deferred = ("version__asset__search",)

    @admin.display(description="credits", ordering="amount")
    def credits(self, use: Use) -> str:
        """Return what it owes or paid, in credits."""
        return amounts.format(use.amount)


@admin.register(Earning)
class EarningAdmin(ReadOnlyAdmin):
    """What uses earned their authors."""

    list_display = ("version", "author", "credits", "bearer", "due_at", "paid_at")
    list_select_related = ("version__asset__owner", "author", "bearer")
    search_fields = ("=author__handle", "=bearer__handle", "=version__asset__name")
    ordering = ("-id",)
    deferred = ("version__asset__search",)

    @admin.display(description="credits", ordering="amount")
    def credits(self, earning: Earning) -> str:
        """Return the amount in credits."""
        return amounts.format(earning.amount)


# --- The ledger -----------------------------------------------------------------------------------


def _table(headings: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> SafeString:
    head = format_html_join("", "<th>{}</th>", ((heading,) for heading in headings))
    cells = "".join("<td>{}</td>" for _ in headings)
    body = format_html_join("", f"<tr>{cells}</tr>", rows)
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


def _link(view: str, key: object, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{view}_change", args=[key]), text)


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _owners(accounts: Iterable[Account]) -> dict[uuid.UUID, str]:
    """Return the handles behind accounts. Round trips: one."""
    people = Participant.objects.filter(pk__in={one.owner for one in accounts if one.owner})
    return dict(people.values_list("pk", "handle"))


def _newest_entries(account: Account) -> QuerySet[Entry]:
    """Return an account's entries, newest first, in the order of the index that has them."""
    entries = Entry.objects.filter(account=account)
    if account.mode == "stored":
        return entries.filter(seq__isnull=False).order_by("-seq")
    xid = RawSQL("credits_entry.xid", [])
    return entries.filter(seq=None).order_by("-epoch", xid.desc(), "-posting_id")


def _accounts_named(term: str) -> Q:
    """Return which accounts somebody means who types *term*, by what an index finds."""
    if term.isdecimal():
        return Q(pk=term) if int(term) < MOST_ACCOUNTS else Q(pk=None)
    if (key := _uuid_in(term)) is not None:
        return Q(owner=key)
    owners = Participant.objects.filter(handle=term).values(
        key=Coalesce("operator_id", "pk")  # an operated agent has no accounts of its own
    )
    if (owner := owners.first()) is not None:
        return Q(owner=owner["key"])
    return Q(kind="escrow", reference=term)


def _postings_named(term: str) -> Q:
    """Return which postings somebody means who types *term*.

    Queries: at most five, by indexes. Where these know nothing it is a subject, and every posting
    is looked at.
    """
    if (key := _uuid_in(term)) is not None:
        return Q(pk=key)
    if Posting.objects.filter(reference=term).exists():
        return Q(reference=term)
    accounts = Account.objects.filter(_accounts_named(term))
    if not term.isdecimal():
        # All escrows of somebody would be too many; what was paid for them is in the wallet.
        accounts = accounts.filter(Q(reference=term) | Q(kind__in=("wallet", "pending")))
    found = {
        posting
        for account in accounts[:ACCOUNTS_SEARCHED]
        for posting in _newest_entries(account).values_list("posting_id", flat=True)[
            :POSTINGS_FOUND
        ]
    }
    return Q(pk__in=found) if found else Q(subject=term)


def _uuid_in(term: str) -> uuid.UUID | None:
    """Return the UUID that *term* is, or that stands in it behind a type such as `posting_`."""
    try:
        return uuid.UUID(term)
    except ValueError:
        pass
    prefix = term.rpartition("_")[0]
    if prefix not in ("posting", *LINE_IDS.values()):
        return None
    try:
        return ids.decode(prefix, term)
    except ids.WrongIdType:
        return None


class NamedRowsAdmin(ReadOnlyAdmin):
    """Rows that are found by their names, through indexes: these tables are the large ones."""

    search_fields = ("pk",)  # shows the field to type in
    show_facets = admin.ShowFacets.NEVER  # counting takes long

    @abstractmethod
    def named(self, term: str) -> Q:
        """Return which rows somebody means who types *term*."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        del request
        term = search_term.strip()
        return (queryset.filter(self.named(term)) if term else queryset), False


class AccountKindFilter(admin.SimpleListFilter):
    """Accounts of one kind. Distinct kinds would be looked for in the whole table."""

    title = parameter_name = "kind"

    def lookups(self, *_asked: object) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in ("wallet", "escrow", "pending", "fees", "issuance")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        return queryset.filter(kind=self.value()) if self.value() else queryset


class PostingKindFilter(AccountKindFilter):
    """Postings of one kind."""

    def lookups(self, *_asked: object) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in KINDS]


class OpenFilter(admin.SimpleListFilter):
    """Open accounts, or those that are closed: the escrows of ended work."""

    title, parameter_name = "closed", "closed"

    def lookups(self, *_asked: object) -> list[tuple[str, str]]:
        return [("no", "open"), ("yes", "closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        if self.value() is None:
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "no")


@admin.register(Account)
class AccountAdmin(NamedRowsAdmin):
    """Accounts with what they hold, their newest entries, and the folds of derived ones."""

    list_display = ("id", "kind", "holder", "credits", "reference", "seq", "closed_at")
    list_filter = (AccountKindFilter, OpenFilter, "mode")
    search_help_text = (
        "A number, the handle or the id of an owner, or the work of an escrow: task_…"
    )
    ordering = ("-id",)
    sortable_by = ("id",)
    fields = (
        *("id", "kind", "owner_link", "work", "mode", "credits", "lowest", "seq"),
        *("opened_at", "posted_at", "closed_at", "newest_entries", "newest_folds"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        del request
        handle = Participant.objects.filter(pk=OuterRef("owner")).values("handle")
        return Account.objects.with_held().annotate(handle=Subquery(handle))

    def named(self, term: str) -> Q:
        return _accounts_named(term)

    @admin.display(description="owner")
    def holder(self, account: ShownAccount) -> str:
        """Return whose it is."""
        return account.handle or NOTHING

    @admin.display(description="owner")
    def owner_link(self, account: ShownAccount) -> SafeString | str:
        """Return whose it is, with a link."""
        if not account.handle:
            return str(account.owner or NOTHING)
        return _link("participants_participant", account.owner, account.handle)

    @admin.display(description="reference")
    def work(self, account: ShownAccount) -> SafeString | str:
        """Return what it is for; the task, where it is the escrow of one."""
        try:
            return _link("tasks_task", ids.decode("task", account.reference), account.reference)
        except ids.WrongIdType:
            return account.reference or NOTHING

    @admin.display(description="credits")
    def credits(self, account: ShownAccount) -> str:
        """Return what it holds."""
        return amounts.format(account.held)

    @admin.display(description="floor, in credits")
    def lowest(self, account: Account) -> str:
        """Return the lowest balance that it may reach."""
        return _credits(account.floor) or NOTHING

    @admin.display
    def newest_entries(self, account: Account) -> SafeString:
        """Return the account's newest entries. Round trips: one."""
        entries = _newest_entries(account).select_related("posting")[:ENTRIES_SHOWN]
        return _table(
            ("when", "posting", "credits", "balance after"),
            (
                (
                    _when(entry.created_at),
                    _link("credits_posting", entry.posting_id, entry.posting),
                    _credits(entry.amount),
                    _credits(entry.balance_after),
                )
                for entry in entries
            ),
        )

    @admin.display
    def newest_folds(self, account: Account) -> SafeString | str:
        """Return the newest folds of a derived account. Round trips: one."""
        if account.mode == "stored":
            return "none: a stored account is not folded"
        return _table(
            ("fold", "made", "entries up to there", "credits", "newest entry"),
            (
                (
                    fold.number,
                    _when(fold.folded_at),
                    fold.entries,
                    _credits(fold.balance),
                    _when(fold.newest_at),
                )
                for fold in Fold.objects.filter(account=account).order_by("-number")[:FOLDS_SHOWN]
            ),
        )


@admin.register(Posting)
class PostingAdmin(NamedRowsAdmin):
    """Postings with their entries, which have no page of their own: their key is composite."""

    list_display = ("created_at", "kind", "subject", "memo", "reference")
    list_filter = (PostingKindFilter,)
    search_help_text = (
        "A reference, a subject such as task_…, an id such as posting_…, a handle, or the number of"
        f" an account, of which the {POSTINGS_FOUND:,} newest postings are found"
    )
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        *("public_id", "kind", "reference", "subject", "memo", "reverses", "created_at"),
        *("block", "entries"),
    )
    readonly_fields = fields

    def named(self, term: str) -> Q:
        return _postings_named(term)

    @admin.display(description="id")
    def public_id(self, posting: Posting) -> str:
        """Return the id that the API shows."""
        return ids.encode("posting", posting.pk)

    @admin.display(description="sealed in block")
    def block(self, posting: Posting) -> SafeString | str:
        """Return the block that its first entry is in. Round trips: two."""
        entry = Entry.objects.filter(posting=posting).order_by("account_id").first()
        account = AccountId(entry.account_id if entry else 0)
        number = seals.blocks_of(account, [posting.pk]).get(posting.pk)
        return "not yet" if number is None else _link("credits_sealedblock", number, number)

    @admin.display
    def entries(self, posting: Posting) -> SafeString:
        """Return what the posting did to each account. Round trips: two."""
        entries = list(
            Entry.objects.filter(posting=posting).select_related("account").order_by("account_id")
        )
        handles = _owners(entry.account for entry in entries)
        return _table(
            ("account", "owner", "credits", "balance after"),
            (
                (
                    _link("credits_account", entry.account_id, entry.account),
                    handles.get(entry.account.owner, "") if entry.account.owner else "",
                    _credits(entry.amount),
                    _credits(entry.balance_after),
                )
                for entry in entries
            ),
        )


@admin.register(SealedBlock)
class SealedBlockAdmin(NamedRowsAdmin):
    """Sealed blocks, as everybody sees them, and where they end."""

    list_display = ("number", "sealed_at", "entries", "own_hash")
    search_help_text = "A number, or a hash"
    ordering = ("-number",)
    sortable_by = ()
    fields = ("number", "sealed_at", "entries", "own_hash", "hash_before", "merkle_root", "end")
    readonly_fields = fields

    def named(self, term: str) -> Q:
        if term.isdecimal() and int(term) < MOST_NUMBER:
            return Q(number=term)
        try:
            return Q(hash=bytes.fromhex(term))
        except ValueError:
            return Q(pk=None)

    @admin.display(description="hash")
    def own_hash(self, block: SealedBlock) -> str:
        """Return its hash, which vouches for everything up to here."""
        return bytes(block.hash).hex()

    @admin.display(description="hash of the block before")
    def hash_before(self, block: SealedBlock) -> str:
        """Return the hash that it names as the one before it."""
        return bytes(block.previous).hex()

    @admin.display(description="root over its entries")
    def merkle_root(self, block: SealedBlock) -> str:
        """Return the root of the tree over its entries."""
        return bytes(block.root).hex()

    @admin.display(description="last entry")
    def end(self, block: SealedBlock) -> SafeString:
        """Return the entry that it ends with."""
        posting = _link("credits_posting", block.upto_posting, "posting")
        account = _link("credits_account", block.upto_account, f"account {block.upto_account}")
        return format_html("{} of {}", posting, account)
