"""Assets: searching, reading, using and publishing them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from assets import blobs, catalog, graph
from assets.models import Kind, Version
from assets.workflows import WORKFLOW_FILE, Workflow
from credits import amounts
from marketplace.api.assets import (
    BEST,
    AssetQuery,
    PublicationIn,
    UseIn,
    publication_of,
    unpacked,
)
from marketplace.api.paging import Key, paginate, whole
from marketplace.api.workflows import FIRST_DRAFT
from marketplace.delegation.workflows import Draft, NotAWorkflow, workflow_of
from marketplace.files.models import File
from marketplace.foundation import ids
from marketplace.participants.models import Participant
from marketplace.reuse import browsing
from marketplace.reuse.prices import (
    Cost,
    FilesNotUsed,
    cost_for,
    price_of,
    prices_of,
    require_files,
)
from marketplace.reuse.usecases.publish_asset import Publication, bundle_limits, publish_asset
from marketplace.tasks.queries import visible_to
from marketplace.tasks.states import TaskState
from marketplace.tasks.usecases.use_asset import use_asset
from marketplace.web import markdown
from marketplace.web.calls import Amount, CallForm, Done, Lines, MoveForm, TextArea, Words, attempt
from marketplace.web.pages import actor_of, page, viewer_of

# What describes a bundle to a reader, the first one that it has.
INTRODUCTIONS = ("SKILL.md", "README.md")
INTRODUCTION_BYTES = 200_000
VERSIONS_SHOWN = 100
PREFILLED = ("draft", "kind", "name", "version", "source_task")


class AssetFilters(CallForm):
    """Which assets to list."""

    call = AssetQuery

    q = forms.CharField(required=False, label="Words")
    kind = forms.ChoiceField(required=False, choices=[("", "any"), *Kind.choices])
    tag = forms.CharField(required=False)
    owner = forms.CharField(required=False)
    ordering = forms.ChoiceField(
        required=False, label="Order", choices=[("", "best first"), ("-created_at", "newest first")]
    )
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


@page
def browse(request: HttpRequest) -> HttpResponseBase:
    """Search assets."""
    filters = AssetFilters(request.GET)
    context: dict[str, Any] = {"filters": filters}
    if filters.accepts(request):
        query = filters.given
        found = browsing.search(
            q=query.get("q", ""),
            kind=query.get("kind"),
            tag=query.get("tag"),
            owner=query.get("owner"),
        )
        newest = query.get("ordering") == "-created_at"
        listed = paginate(found, query, (Key("id", whole),) if newest else BEST)
        prices = prices_of(asset.latest_id for asset in listed.rows if asset.latest_id)
        context["next_cursor"] = listed.next_cursor
        context["priced"] = [(asset, prices.get(asset.latest_id or 0, 0)) for asset in listed.rows]
    return render(request, "web/assets.html", context, status=filters.status)


# --- One asset -----------------------------------------------------------------------------------


class UseForm(MoveForm):
    """Using a version, for the price that the page showed."""

    call = UseIn

    version = forms.CharField(widget=forms.HiddenInput)
    max_charge = forms.CharField(widget=forms.HiddenInput)
    task = forms.ChoiceField(required=False, label="Paid")

    def __init__(self, *args: Any, held: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["task"]
        assert isinstance(field, forms.ChoiceField)
        of_tasks = [(task, f"out of what I earn with: {title}") for task, title in held]
        field.choices = [("", "now, from my wallet"), *of_tasks]
        if not held:
            field.widget = forms.HiddenInput()


@page
def show(
    request: HttpRequest, owner: str, name: str, number: str | None = None
) -> HttpResponseBase:
    """Show a version of an asset, by default the one that the asset shows; use it."""
    asset = browsing.find_asset(viewer_of(request), owner, name)
    versions = list(catalog.versions_of(asset)[:VERSIONS_SHOWN])
    if number is None and asset.latest is None:  # every version is yanked
        version = versions[0]
        version.asset = asset
    else:
        version = catalog.find_version(owner, name, number)
    viewer = viewer_of(request)
    held = _held(viewer)
    sent = None
    if request.method == "POST":
        if viewer is None:
            return redirect_to_login(request.get_full_path())
        sent = UseForm(request.POST, held=held)
        done = attempt(request, sent, lambda: _use(request, sent, version))
        if done is not None:
            return done
    cost = cost_for(viewer.operator_key, version) if viewer else None
    context = {
        "asset": asset,
        "version": version,
        "versions": versions,
        "prices": prices_of(one.pk for one in versions),
        "price": price_of(version),
        "cost": cost,
        "files": list(catalog.files_of(version)),
        "lock": [one for one in graph.lock_of(version).entries if one.version_id != version.pk],
        "needs": _needs(version),
        "dependents": graph.count_dependents(asset),
        "form": sent or _use_form(version, cost, held),
        "sent": sent,
    }
    context |= _contents(viewer, version)
    context["workflow"] = _workflow(version) if context["readable"] else None
    return render(request, "web/asset.html", context, status=sent.status if sent else 200)


def _held(viewer: Participant | None) -> list[tuple[str, str]]:
    if viewer is None:
        return []
    claimed = visible_to(viewer).filter(worker=viewer, state=TaskState.CLAIMED).order_by("-pk")
    return [(ids.encode("task", key), title) for key, title in claimed.values_list("pk", "title")]


def _use_form(version: Version, cost: Cost | None, held: list[tuple[str, str]]) -> UseForm | None:
    if cost is None or version.is_yanked:
        return None
    initial = {"version": version.number, "max_charge": amounts.format(cost.due)}
    return UseForm(initial=initial, held=held)


def _needs(version: Version) -> list[tuple[str, str, str]]:
    """Return what a version depends on directly: the asset, what was asked for, what it became."""
    found = graph.graph_of(version, direction="dependencies", depth=1)
    nodes = {node.version_id: node for node in found.nodes}
    direct = (edge for edge in found.edges if edge.source == version.pk)
    return [
        (nodes[edge.target].asset, edge.constraint, nodes[edge.target].version) for edge in direct
    ]


def _contents(viewer: Participant | None, version: Version) -> dict[str, Any]:
    """Return what the reader may see of a version's files: its introduction, or that it may not."""
    try:
        require_files(viewer, version)
    except FilesNotUsed:
        return {"readable": False, "introduction": ""}
    for path in INTRODUCTIONS:
        try:
            with catalog.read_file(version, path) as content:
                text = content.read(INTRODUCTION_BYTES).decode("utf-8-sig", errors="replace")
        except catalog.UnknownFile:
            continue
        return {"readable": True, "introduction": markdown.without_front_matter(text)}
    return {"readable": True, "introduction": ""}


def _workflow(version: Version) -> Workflow | None:
    """Return the steps of a workflow that the reader may read."""
    try:
        return workflow_of(version)
    except NotAWorkflow:
        return None


def _use(request: HttpRequest, form: UseForm, version: Version) -> Done:
    asset = version.asset
    used = use_asset(
        actor=actor_of(request),
        owner=asset.owner.handle,
        name=asset.name,
        version=form.given["version"],
        task_id=form.given.get("task"),
        max_charge=form.given.get("max_charge"),
    )
    if used.owed:
        message = f"Yours to use; {amounts.format(used.owed)} credits are owed by the task."
    else:
        message = f"Yours to use; {amounts.format(used.charged)} credits were charged."
    location = reverse(
        "asset_version", args=[asset.owner.handle, asset.name, form.given["version"]]
    )
    return Done(location, message)


# --- Publishing ----------------------------------------------------------------------------------


class PublishForm(MoveForm):
    """A bundle to publish; what is left out is taken from the bundle."""

    call = PublicationIn
    places = {"files": "bundle"}
    button = "Publish"

    bundle = forms.FileField(
        help_text="A .zip or .tar.gz of a folder; a skill has SKILL.md at its root, a workflow"
        " workflow.json."
    )
    kind = forms.ChoiceField(
        required=False, choices=[("", "as the bundle says, else a skill"), *Kind.choices]
    )
    price = Amount(
        required=False,
        label="Price in credits",
        help_text="What a use costs; 0 is free. As the bundle says if left out.",
    )
    name = forms.CharField(required=False, help_text="As the bundle says if left out.")
    version = forms.CharField(
        required=False, help_text="Such as 1.0.0. As the bundle says if left out."
    )
    description = TextArea(required=False, rows=2)
    tags = Words(required=False, help_text="Separated by commas.")
    license = forms.CharField(required=False, help_text="Such as MIT or Apache-2.0.")
    dependencies = Lines(
        required=False,
        rows=2,
        help_text="One a line: owner/name and a range, such as ada/csv-dialects ^1.0.",
    )
    source_task = forms.CharField(
        required=False, label="Came out of the task", help_text="Its id: task_…"
    )
    draft = forms.CharField(required=False, widget=forms.HiddenInput)  # id of a saved workflow

    publication: Publication

    def __init__(self, *args: Any, author: Participant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.author = author
        self.saved = _saved(author, str(self["draft"].value() or ""))
        if self.saved is not None:
            self.fields["bundle"].required = False
            self.fields["bundle"].help_text = "Left out, what you saved is published as it is."

    def body(self) -> dict[str, Any]:
        body = super().body()
        if "dependencies" in body:
            body["dependencies"] = [_dependency(line) for line in body["dependencies"]]
        return body

    def prepare(self) -> None:
        """Unpack the bundle and store its files, before the transaction."""
        bundle = self.cleaned_data["bundle"]
        if bundle is None and self.saved is not None:
            with blobs.open_blob(self.saved.sha256) as content:
                files: Mapping[str, bytes] = {WORKFLOW_FILE: content.read()}
        else:
            files = unpacked(bundle)
        self.publication = publication_of(self.author, self.given, files)


def _saved(author: Participant, file_id: str) -> File | None:
    """Return the workflow that somebody saved and is about to publish."""
    if not file_id:
        return None
    files = File.objects.filter(uploader=author, name=WORKFLOW_FILE)
    most = bundle_limits().file_bytes
    return files.filter(pk=ids.decode("file", file_id), size__lte=most).first()


def _dependency(line: str) -> dict[str, str]:
    asset, _, constraint = line.partition(" ")
    return {"asset": asset, "constraint": constraint.strip() or "*"}


def publishing(draft: Draft, file: File) -> str:
    """Return the address at which a workflow that was saved is published."""
    said = {
        "draft": file.public_id,
        "kind": Kind.WORKFLOW.value,
        "name": draft.name,
        "version": FIRST_DRAFT,
        "source_task": draft.source_task,
    }
    return f"{reverse('publish_asset')}?{urlencode(said)}"


@page
@login_required
def publish(request: HttpRequest) -> HttpResponseBase:
    """Publish an asset, or a new version of one's own."""
    initial = {name: request.GET[name] for name in PREFILLED if name in request.GET}
    form = PublishForm(author=actor_of(request), initial=initial)
    if request.method == "POST":
        form = PublishForm(request.POST, request.FILES, author=actor_of(request))
        done = attempt(request, form, lambda: _publish(request, form))
        if done is not None:
            return done
    return render(request, "web/asset_new.html", {"form": form}, status=form.status)


def _publish(request: HttpRequest, form: PublishForm) -> Done:
    version = publish_asset(actor=actor_of(request), publication=form.publication)
    owner, name = version.asset.owner.handle, version.asset.name
    return Done(reverse("asset_version", args=[owner, name, version.number]), "Published.")
