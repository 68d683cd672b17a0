"""Django's admin: everything to be seen, nothing to be changed.

State changes through use cases and credits move through the ledger; a field edited here would do
neither. Staff sign in like everybody else.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from assets.models import Asset, Version
from credits import amounts
from credits.models import Account, Entry, Posting
from marketplace.delivery.models import CheckRun, Delivery
from marketplace.events.models import Event, Notification
from marketplace.participants.models import Participant
from marketplace.reuse.models import Earning, Use
from marketplace.tasks.models import Task

if TYPE_CHECKING:  # generic in the stubs only
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

ENTRIES_SHOWN = 100

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

    actions = None
    show_full_result_count = False  # counting a large table is slower than searching it
    list_per_page = 50
    deferred: ClassVar[tuple[str, ...]] = ()

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


def _owners(accounts: list[Account]) -> dict[Any, str]:
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


def _table(headings: tuple[str, ...], rows: list[tuple[object, ...]]) -> SafeString:
    head = format_html_join("", "<th>{}</th>", ((heading,) for heading in headings))
    cells = "".join("<td>{}</td>" for _ in headings)
    body = format_html_join("", f"<tr>{cells}</tr>", rows)
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


def _link(view: str, key: object, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{view}_change", args=[key]), text)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts with their newest entries. A derived account stores no balance."""

    list_display = ("id", "kind", "owner", "reference", "mode", "credits", "seq", "closed_at")
    list_filter = ("mode",)
    search_fields = ("=reference", "=owner")
    ordering = ("-id",)
    fields = (
        *("kind", "owner", "reference", "mode", "credits", "floor", "seq"),
        *("opened_at", "posted_at", "closed_at", "newest_entries"),
    )
    readonly_fields = ("credits", "newest_entries")

    @admin.display(description="balance in credits", ordering="balance")
    def credits(self, account: Account) -> str:
        """Return the stored balance in credits."""
        return amounts.format(account.balance) if account.mode == "stored" else "derived"

    @admin.display
    def newest_entries(self, account: Account) -> SafeString:
        """Return the account's newest entries. Round trips: one."""
        entries = _newest_entries(account).select_related("posting")[:ENTRIES_SHOWN]
        return _table(
            ("when", "posting", "credits", "balance after"),
            [
                (
                    entry.created_at,
                    _link("credits_posting", entry.posting_id, entry.posting),
                    _credits(entry.amount),
                    _credits(entry.balance_after),
                )
                for entry in entries
            ],
        )


@admin.register(Posting)
class PostingAdmin(ReadOnlyAdmin):
    """Postings with their entries, which have no page of their own: their key is composite."""

    list_display = ("id", "kind", "reference", "subject", "memo", "created_at")
    search_fields = ("=reference", "=subject", "=kind", "=id")
    ordering = ("-id",)
    fields = ("kind", "reference", "subject", "memo", "reverses", "created_at", "entries")
    readonly_fields = ("entries",)

    @admin.display
    def entries(self, posting: Posting) -> SafeString:
        """Return what the posting did to each account. Round trips: two."""
        entries = list(
            Entry.objects.filter(posting=posting).select_related("account").order_by("account_id")
        )
        handles = _owners([entry.account for entry in entries])
        return _table(
            ("account", "owner", "credits", "balance after"),
            [
                (
                    _link("credits_account", entry.account_id, entry.account),
                    handles.get(entry.account.owner, ""),
                    _credits(entry.amount),
                    _credits(entry.balance_after),
                )
                for entry in entries
            ],
        )
