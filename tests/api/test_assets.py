"""Assets: publishing, finding, reading, resolving and using them."""

import io
import tarfile
import zipfile
from typing import Any

import pytest

from tests.api.caller import (
    Answer,
    Caller,
    Json,
    a_visitor,
    as_caller,
    at_most_queries,
    content,
    invalid,
    nothing_changes,
    ok,
    problem,
    somebody,
)
from tests.builders.assets import a_skill, an_asset_name, skill_md
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import a_claimed_task, available

pytestmark = pytest.mark.django_db


def publish(caller: Caller, name: str | None = None, **more: object) -> Answer:
    name = name or an_asset_name()
    files = [{"path": "SKILL.md", "content": skill_md(name)}]
    return caller.post("/assets", {"files": files, "name": name} | more)


def a_bundle(form: str, files: dict[str, str]) -> io.BytesIO:
    archive = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(archive, "w") as bundle:
            for path, text in files.items():
                bundle.writestr(path, text)
    else:
        with tarfile.open(fileobj=archive, mode="w:gz") as bundle:
            for path, text in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(text)
                bundle.addfile(entry, io.BytesIO(text.encode()))
    archive.seek(0)
    archive.name = f"bundle.{form}"
    return archive


# --- Publishing -----------------------------------------------------------------------------------


def test_publishing_answers_with_the_version_its_files_and_its_lock() -> None:
    ada, csv = somebody(), a_skill()
    name = an_asset_name()

    answer = publish(
        ada,
        name,
        kind="skill",
        version="1.2.0",
        tags=["CSV"],
        price="0.3",
        license="Apache-2.0",
        dependencies=[{"asset": csv.asset.reference, "constraint": "^1.0"}],
    )

    published = ok(answer, 201)
    assert published["asset"] == f"{ada.handle}/{name}"
    assert (published["version"], published["kind"], published["price"]) == (
        "1.2.0",
        "skill",
        "0.3",
    )
    assert [file["path"] for file in published["files"]] == ["SKILL.md"]
    needed = {"asset": csv.asset.reference, "version": "1.0.0", "digest": csv.digest}
    own = {"asset": published["asset"], "version": "1.2.0", "digest": published["digest"]}
    assert sorted(published["lock"], key=lambda one: str(one["asset"])) == sorted(
        [needed, own], key=lambda one: str(one["asset"])
    )
    assert answer.headers["Location"] == f"/api/v1/assets/{ada.handle}/{name}/1.2.0"
    assert ok(a_visitor().get(answer.headers["Location"].removeprefix("/api/v1"))) == published


def test_using_costs_a_tenth_unless_its_owner_says() -> None:
    ada = somebody()

    assert ok(publish(ada), 201)["price"] == "0.1"
    assert ok(publish(ada, price="0"), 201)["price"] == "0"


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_bundle_is_published_as_json_is(form: str) -> None:
    ada, bo, name = somebody(), somebody(), an_asset_name()
    files = {"SKILL.md": skill_md(name), "scripts/run.py": "print(1)\n"}
    as_json = [{"path": path, "content": text} for path, text in files.items()]

    bundled = ok(
        ada.upload(
            "/assets",
            {"bundle": a_bundle(form, files), "tags": '["csv"]', "price": "0.2", "kind": "skill"},
        ),
        201,
    )
    listed = ok(bo.post("/assets", {"files": as_json}), 201)

    assert bundled["digest"] == listed["digest"]
    assert bundled["asset"] == f"{ada.handle}/{name}", "the name is the one in SKILL.md"
    assert bundled["price"] == "0.2"


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"files": []}, "/files", "empty"),
        ({"files": [{"path": "SKILL.md"}]}, "/files/0", "content_missing"),
        (
            {"files": [{"path": "SKILL.md", "content_base64": "!"}]},
            "/files/0/content_base64",
            "invalid_base64",
        ),
        ({"kind": "trace", "files": [{"path": "SKILL.md", "content": 5}]}, "/files/0/content", ""),
        ({"kind": "plugin"}, "/kind", "invalid_choice"),
        ({"version": "1.0"}, "/version", "invalid_version"),
        ({"version": 1}, "/version", ""),
        ({"price": 0.5}, "/price", "fractional_number"),
        ({"price": "-1"}, "/price", "not_a_decimal"),
        ({"tags": ["x" * 41]}, "/tags/0", "max_length"),
        ({"dependencies": [{}]}, "/dependencies/0/asset", "required"),
        ({"dependencies": [{"asset": "x/y", "rate_bps": 499}]}, "/dependencies/0/rate_bps", "min"),
        ({"source_task": "delivery_x"}, "/source_task", "wrong_id_type"),
        ({"colour": "red"}, "/colour", "unknown_field"),
    ],
)
def test_a_publication_that_is_not_one_is_refused(more: Json, pointer: str, code: str) -> None:
    ada = somebody()

    with nothing_changes():
        answer = publish(ada, **more)

    codes = {"": "invalid", "min": "min_value"}
    invalid(answer, pointer, codes.get(code, code))


@pytest.mark.parametrize(
    ("form", "pointer", "code"),
    [
        ({}, "/bundle", "required"),
        ({"tags": "csv"}, "/tags", "malformed_json"),
        ({"tags": '["\\u0000"]'}, "/tags", "malformed_json"),
        ({"tags": '["\\ud800"]'}, "/tags", "malformed_json"),
        ({"tags": "[" * 5000}, "/tags", "malformed_json"),
        ({"dependencies": '{"asset": 1}'}, "/dependencies", "not_a_list"),
        ({"price": "0.0000001"}, "/price", "too_many_places"),
    ],
)
def test_a_form_that_is_no_publication_is_refused(
    form: dict[str, Any], pointer: str, code: str
) -> None:
    ada, name = somebody(), an_asset_name()
    bundle = {"bundle": a_bundle("zip", {"SKILL.md": skill_md(name)})} if form else {}

    with nothing_changes():
        answer = ada.upload("/assets", bundle | form)

    invalid(answer, pointer, code)


def test_a_published_number_is_taken_for_ever() -> None:
    ada = somebody()
    first = ok(publish(ada, version="1.0.0"), 201)
    name = first["asset"].partition("/")[2]

    with nothing_changes():
        answer = publish(ada, name, version="1.0.0", description="Better.")

    assert problem(answer, 409, "version_exists")["number"] == "1.0.0"
    assert ok(publish(ada, name), 201)["version"] == "1.0.1"


def test_an_asset_keeps_its_kind() -> None:
    ada = somebody()
    name = ok(publish(ada), 201)["asset"].partition("/")[2]

    with nothing_changes():
        answer = publish(ada, name, kind="trace", version="2.0.0")

    assert problem(answer, 409, "kind_differs")["kind"] == "skill"


# --- Finding and reading --------------------------------------------------------------------------


def test_assets_are_found_by_words_kind_tag_and_owner() -> None:
    ada, name = somebody(), an_asset_name("wombat")
    ok(publish(ada, name, tags=["marsupials"]), 201)
    other = ok(publish(ada, tags=["birds"], description="Nothing of the kind."), 201)

    def found(**query: str) -> list[str]:
        return [one["asset"] for one in ok(a_visitor().get("/assets", **query))["results"]]

    own = f"{ada.handle}/{name}"
    assert found(owner=ada.handle) == [other["asset"], own]
    assert found(owner=ada.handle, q="wombat") == [own]
    assert found(owner=ada.handle, tag="birds") == [other["asset"]]
    assert found(owner=ada.handle, kind="trace") == []
    assert found(owner=ada.handle, ordering="-created_at") == [other["asset"], own]
    assert found(q=own)[0] == own


def test_an_asset_shows_its_versions_the_highest_first() -> None:
    ada, name = somebody(), an_asset_name()
    for version, price in (("1.0.0", "0"), ("1.10.0", "0.2"), ("1.9.0", "0.1")):
        ok(publish(ada, name, version=version, price=price), 201)

    asset = ok(a_visitor().get(f"/assets/{ada.handle}/{name}"))

    assert [(one["version"], one["price"]) for one in asset["versions"]] == [
        ("1.10.0", "0.2"),
        ("1.9.0", "0.1"),
        ("1.0.0", "0"),
    ]
    assert (asset["latest"], asset["price"]) == ("1.10.0", "0.2")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/assets/nobody/nothing", "unknown_asset"),
        ("/assets/{own}/9.9.9", "unknown_version"),
        ("/assets/{own}/1.0.0/files/nothing.md", "unknown_file"),
        ("/assets/{own}/1.0.0/files/../../secret", "unknown_file"),
    ],
)
def test_what_there_is_not_is_a_404(path: str, code: str) -> None:
    skill = a_skill(price=0)

    answer = a_visitor().get(path.format(own=skill.asset.reference))

    problem(answer, 404, code)


@pytest.mark.parametrize(
    ("form", "media_type"), [("zip", "application/zip"), ("tar.gz", "application/gzip")]
)
def test_an_archive_is_the_same_bytes_every_time(form: str, media_type: str) -> None:
    skill = a_skill(price=0)
    path = f"/assets/{skill.asset.reference}/1.0.0/archive"

    first = a_visitor().get(path, format=form, accept=media_type)
    bytes_of_first = content(first)

    assert first.headers["Content-Type"] == media_type
    assert first.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert bytes_of_first == content(somebody().get(path, format=form))
    assert b"SKILL.md" in (bytes_of_first if form == "zip" else untarred(bytes_of_first))


def untarred(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as bundle:
        return " ".join(bundle.getnames()).encode()


def test_an_archive_of_no_known_form_is_refused() -> None:
    skill = a_skill(price=0)

    answer = a_visitor().get(f"/assets/{skill.asset.reference}/1.0.0/archive", format="rar")

    invalid(answer, "?format", "invalid_choice")


@pytest.mark.parametrize("what", ["archive", "files/SKILL.md"])
def test_files_of_a_priced_version_are_for_its_owner_and_its_users(what: str) -> None:
    ada, bo = somebody(), somebody()
    skill = a_skill(ada.participant)
    path = f"/assets/{skill.asset.reference}/1.0.0/{what}"

    for stranger in (bo, a_visitor()):
        assert problem(stranger.get(path), 403, "files_not_used")["price"] == "0.1"
    assert content(ada.get(path))
    ok(bo.post(f"/assets/{skill.asset.reference}/use", {"max_charge": "0.1"}))
    assert content(bo.get(path))


def test_who_uses_an_asset_reads_what_it_rests_on() -> None:
    bo, below = somebody(), a_skill()
    above = a_skill(dependencies=[below])
    ok(bo.post(f"/assets/{above.asset.reference}/use", {"max_charge": "1"}))

    answer = bo.get(f"/assets/{below.asset.reference}/1.0.0/files/SKILL.md")

    assert content(answer) == skill_md(below.asset.name).encode()


def test_a_graph_goes_both_ways() -> None:
    below = a_skill()
    above = a_skill(dependencies=[below])
    names = [f"{one.asset.reference}@1.0.0" for one in (above, below)]

    down = ok(a_visitor().get(f"/assets/{above.asset.reference}/1.0.0/graph"))
    up = ok(a_visitor().get(f"/assets/{below.asset.reference}/1.0.0/graph", direction="dependents"))

    assert [node["id"] for node in down["nodes"]] == names
    assert [node["id"] for node in up["nodes"]] == names[::-1]
    (edge,) = down["edges"]
    assert (edge["source"], edge["target"], edge["rate_bps"]) == (*names, 1000)
    assert down["edges"] == up["edges"]
    invalid(
        a_visitor().get(f"/assets/{above.asset.reference}/1.0.0/graph", depth=33),
        "?depth",
        "max_value",
    )


# --- Resolving ------------------------------------------------------------------------------------


def test_resolving_gives_exact_versions_that_fit_together() -> None:
    below = a_skill()
    above = a_skill(dependencies=[below])
    requirements = [{"asset": above.asset.reference, "constraint": "^1"}]

    with nothing_changes():
        lock = ok(a_visitor().post("/assets/resolve", {"requirements": requirements}))["lock"]

    assert {one["asset"] for one in lock} == {above.asset.reference, below.asset.reference}
    assert all(one.keys() == {"asset", "version", "digest"} for one in lock)


def test_a_conflict_names_both_who_need_it() -> None:
    ada, name = somebody(), an_asset_name()
    old = a_skill(ada.participant, name=name, version="1.0.0")
    user = a_skill(dependencies=[old])
    a_skill(ada.participant, name=name, version="2.0.0")
    requirements = [
        {"asset": user.asset.reference},
        {"asset": old.asset.reference, "constraint": "^2"},
    ]

    answer = a_visitor().post("/assets/resolve", {"requirements": requirements})

    detail = problem(answer, 409, "unresolvable_dependency")["detail"]
    assert user.asset.reference in detail
    assert old.asset.reference in detail


@pytest.mark.parametrize(
    ("requirements", "pointer", "code"),
    [
        ([], "/requirements", "empty"),
        ([{"asset": "x/y"}] * 33, "/requirements", "max_length"),
        ([{"asset": "x/y", "constraint": "latest"}], "/requirements/0/constraint", ""),
        ([5], "/requirements/0", "invalid"),
    ],
)
def test_requirements_that_are_none_are_refused(
    requirements: Json, pointer: str, code: str
) -> None:
    answer = a_visitor().post("/assets/resolve", {"requirements": requirements})

    document = problem(answer, 400, "validation_error")
    assert pointer in {error["pointer"] for error in document["errors"]}
    assert code in {"", *(error["code"] for error in document["errors"])}


# --- Using ----------------------------------------------------------------------------------------


def test_using_at_once_charges_and_gives_the_lock() -> None:
    bo, below = somebody(), a_skill()
    above = a_skill(dependencies=[below])

    used = ok(bo.post(f"/assets/{above.asset.reference}/use", {"max_charge": "0.1"}))

    assert (used["charged"], used["owed"], used["state"]) == ("0.1", "0", "paid")
    assert {one["asset"] for one in used["lock"]} == {above.asset.reference, below.asset.reference}
    assert available(bo.participant) == 99_900_000


def test_using_for_a_task_charges_nothing_now() -> None:
    bo, skill = somebody(), a_skill()
    task = a_claimed_task(worker=bo.participant)
    body = {"task": task.public_id, "max_charge": "0.1"}

    used = ok(bo.post(f"/assets/{skill.asset.reference}/use", body))

    assert (used["charged"], used["owed"], used["state"]) == ("0", "0.1", "bound")
    settlement = ok(bo.get(f"/tasks/{task.public_id}/settlement"))
    assert settlement["royalties"] == [
        {
            "asset": f"{skill.asset.reference}@1.0.0",
            "participant": skill.asset.owner.get_username(),
            "amount": "0.1",
        }
    ]


@pytest.mark.parametrize(
    ("body", "status", "code", "facts"),
    [
        ({}, 400, "max_charge_required", {"price": "0.1"}),
        ({"max_charge": "0.09"}, 409, "price_changed", {"price": "0.1", "max_charge": "0.09"}),
        ({"max_charge": "1", "version": "9.0.0"}, 404, "unknown_version", {}),
    ],
)
def test_a_use_that_was_not_consented_to_is_refused(
    body: Json, status: int, code: str, facts: Json
) -> None:
    bo, skill = somebody(), a_skill()

    with nothing_changes():
        answer = bo.post(f"/assets/{skill.asset.reference}/use", body)

    assert problem(answer, status, code).items() >= facts.items()


def test_a_use_for_a_task_that_somebody_else_holds_is_refused() -> None:
    bo, skill, task = somebody(), a_skill(), a_claimed_task()
    body = {"task": task.public_id, "max_charge": "1"}

    with nothing_changes():
        answer = bo.post(f"/assets/{skill.asset.reference}/use", body)

    problem(answer, 403, "not_permitted")


def test_a_use_beyond_the_cap_is_refused_with_the_figures() -> None:
    bo, dear = somebody(), a_skill(price=2_000_001)
    task = a_claimed_task(worker=bo.participant)
    body = {"task": task.public_id, "max_charge": "3"}

    with nothing_changes():
        answer = bo.post(f"/assets/{dear.asset.reference}/use", body)

    document = problem(answer, 409, "reuse_cap")
    assert (document["cap"], document["bound"], document["required"]) == ("2", "0", "2.000001")


def test_a_dry_run_of_using_shows_the_charge_and_writes_nothing() -> None:
    bo, skill = somebody(), a_skill()

    with nothing_changes():
        used = ok(
            bo.post(f"/assets/{skill.asset.reference}/use?dry_run=true", {"max_charge": "0.1"})
        )

    assert used["charged"] == "0.1"


# --- Yanking --------------------------------------------------------------------------------------


def test_a_yanked_version_is_left_out_of_new_locks_and_kept_in_old_ones() -> None:
    ada = somebody()
    skill = a_skill(ada.participant)
    user = a_skill(dependencies=[skill])
    path = f"/assets/{skill.asset.reference}"

    yanked = ok(ada.post(f"{path}/1.0.0/yank", {"reason": "Wrong."}))

    assert yanked["yank_reason"] == "Wrong."
    assert yanked["yanked_at"].endswith("Z")
    resolve = {"requirements": [{"asset": skill.asset.reference}]}
    problem(ada.post("/assets/resolve", resolve), 409, "unresolvable_dependency")
    lock = ok(a_visitor().get(f"/assets/{user.asset.reference}/1.0.0"))["lock"]
    assert skill.asset.reference in {one["asset"] for one in lock}
    with nothing_changes():
        again = ada.post(f"{path}/1.0.0/yank", {"reason": "Still."})
    problem(again, 409, "yanked_already")


def test_only_its_owner_and_its_operator_yank() -> None:
    person, eve = a_person(), somebody()
    skill = a_skill(an_agent_of(person))
    path = f"/assets/{skill.asset.reference}/1.0.0/yank"

    with nothing_changes():
        answer = eve.post(path, {"reason": "Envy."})

    problem(answer, 403, "not_the_owner")
    ok(as_caller(person).post(path, {"reason": "Mine."}))


def test_one_asset_takes_few_queries() -> None:
    ada, name = somebody(), an_asset_name()
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        a_skill(ada.participant, name=name, version=version)

    with at_most_queries(6):
        ok(a_visitor().get(f"/assets/{ada.handle}/{name}"))
