import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from assets import catalog, graph
from assets.archives import read_archive
from assets.catalog import (
    DependencyRequest,
    InvalidBundle,
    InvalidVersion,
    KindDiffers,
    SelfDependency,
    UnknownAsset,
    UnknownFile,
    UnknownVersion,
    VersionExists,
    YankedAlready,
    archive_of,
    find_asset,
    find_version,
    publish,
    search,
    yank,
)
from assets.models import Asset, Version
from tests.assets.publishing import a_name, a_skill, skill_files
from tests.builders.at_once import together
from tests.builders.people import a_person
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

QueryCount = Callable[[int], object]


# --- Publishing ----------------------------------------------------------------------------------


def test_a_skill_is_published_from_what_its_file_says() -> None:
    ada = a_person()
    name = a_name()

    version = publish(owner=ada, published_by=ada, files=skill_files(name, "Parses invoices."))

    found = find_version(ada.handle, name)
    assert found == version
    assert (found.number, found.description, found.asset.kind) == (
        "1.0.0",
        "Parses invoices.",
        "skill",
    )
    assert found.reference == f"{ada.handle}/{name}@1.0.0"
    assert found.front_matter["name"] == name
    assert [file.path for file in catalog.files_of(found)] == ["SKILL.md"]
    with catalog.read_file(found, "SKILL.md") as content:
        assert content.read() == skill_files(name, "Parses invoices.")["SKILL.md"]


def test_the_digest_is_that_of_the_canonical_list_of_files() -> None:
    files = {"b": b"2", "SKILL.md": b"x"}

    version = a_skill(files=files)

    listed = ",".join(
        f'{{"mode":"0644","path":"{path}","sha256":"{hashlib.sha256(files[path]).hexdigest()}","size":1}}'
        for path in ("SKILL.md", "b")
    )
    assert version.digest == hashlib.sha256(f"[{listed}]".encode()).hexdigest()
    assert a_skill(files=dict(reversed(files.items()))).digest == version.digest


def test_a_bundle_packed_as_a_folder_is_published_without_it() -> None:
    version = a_skill(files={"mine/SKILL.md": b"x", "mine/a/b.txt": b"y"})

    assert [file.path for file in catalog.files_of(version)] == ["SKILL.md", "a/b.txt"]


def test_a_number_left_out_is_the_next_patch_of_the_highest_release() -> None:
    first = a_skill()
    owner, name = first.asset.owner, first.asset.name

    second = a_skill(owner, name=name)
    a_skill(owner, name=name, version="2.0.0-rc.1")
    third = a_skill(owner, name=name)

    assert [first.number, second.number, third.number] == ["1.0.0", "1.0.1", "1.0.2"]


def test_an_old_line_can_be_mended_and_does_not_become_what_the_asset_shows() -> None:
    new = a_skill(version="2.0.0", description="New.")
    owner, name = new.asset.owner, new.asset.name

    a_skill(owner, name=name, version="1.0.1", description="Old.")

    asset = find_asset(owner.handle, name)
    assert asset.latest == new
    assert asset.description == "New."
    assert [one.number for one in catalog.versions_of(asset)] == ["2.0.0", "1.0.1"]


def test_a_pre_release_is_shown_only_where_there_is_nothing_else() -> None:
    early = a_skill(version="1.0.0-rc.1")
    owner, name = early.asset.owner, early.asset.name
    assert find_version(owner.handle, name) == early

    release = a_skill(owner, name=name, version="1.0.0")
    a_skill(owner, name=name, version="2.0.0-rc.1")

    assert find_version(owner.handle, name) == release


@pytest.mark.parametrize("number", ["1.0.0", "1.0.0+another.build"])
def test_a_number_is_published_once(number: str) -> None:
    version = a_skill(version="1.0.0")

    with pytest.raises(VersionExists):
        a_skill(version.asset.owner, name=version.asset.name, version=number)


def test_the_number_of_a_yanked_version_stays_taken() -> None:
    version = a_skill(version="1.0.0")
    yank(version, reason="Broken.")

    with pytest.raises(VersionExists):
        a_skill(version.asset.owner, name=version.asset.name, version="1.0.0")
    assert a_skill(version.asset.owner, name=version.asset.name).number == "1.0.1"


def test_a_number_that_is_not_semver_is_refused() -> None:
    with pytest.raises(InvalidVersion):
        a_skill(version="v1")


def test_an_asset_stays_of_its_kind() -> None:
    version = a_skill()
    owner = version.asset.owner

    with pytest.raises(KindDiffers):
        publish(
            owner=owner,
            published_by=owner,
            files={"t.jsonl": b"{}"},
            kind="trace",
            name=version.asset.name,
        )


def test_two_owners_may_use_the_same_name() -> None:
    name = a_name()

    assert a_skill(name=name).asset != a_skill(name=name).asset


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"files": {}}, "/files", "empty"),
        ({"files": {"../x": b""}}, "/files/..~1x", "parent_path"),
        ({"files": {"x": b""}}, "/kind", "required"),
        ({"files": {"x": b""}, "kind": "skill"}, "/files", "skill_md_missing"),
        ({"kind": "app"}, "/kind", "invalid"),
        ({"files": {"SKILL.md": b"x"}}, "/name", "required"),
        ({"name": "Not-Lower"}, "/name", "invalid"),
        ({"name": "x\n"}, "/name", "invalid"),
        ({"name": "a" * 65}, "/name", "invalid"),
        ({"description": "x" * 4_001}, "/description", "too_long"),
        ({"description": "a\0b"}, "/description", "invalid_characters"),
        ({"description": "a\ud800b"}, "/description", "invalid_characters"),
        ({"tags": ["ok", "x" * 41]}, "/tags/1", "too_long"),
        ({"tags": [str(n) for n in range(21)]}, "/tags", "too_many"),
        ({"license": "x" * 101}, "/license", "too_long"),
        (
            {"dependencies": [DependencyRequest("a/b", "*", 499)]},
            "/dependencies/0/rate_bps",
            "out_of_range",
        ),
        (
            {"dependencies": [DependencyRequest("a/b", "*", 2_001)]},
            "/dependencies/0/rate_bps",
            "out_of_range",
        ),
        (
            {"dependencies": [DependencyRequest("a/b", "*")] * 2},
            "/dependencies/1/asset",
            "duplicate",
        ),
        (
            {"dependencies": [DependencyRequest("a/b", "newest")]},
            "/dependencies/0/constraint",
            "invalid",
        ),
        ({"dependencies": [DependencyRequest("ab", "*")]}, "/dependencies/0/asset", "invalid"),
    ],
)
def test_what_breaks_a_rule_is_pointed_at_and_publishes_nothing(
    given: dict[str, Any], pointer: str, code: str
) -> None:
    ada = a_person()

    with pytest.raises(InvalidBundle) as refusal:
        publish(**{"owner": ada, "published_by": ada, "files": skill_files(a_name()), **given})

    assert (refusal.value.pointer, refusal.value.code) == (pointer, code)
    assert not Asset.objects.filter(owner=ada).exists()


def test_tags_are_kept_once_in_lower_case() -> None:
    assert a_skill(tags=["CSV", "csv ", "Data  Work"]).tags == ["csv", "data work"]


def test_an_asset_does_not_depend_on_itself() -> None:
    version = a_skill()

    with pytest.raises(SelfDependency):
        a_skill(version.asset.owner, name=version.asset.name, needs=[version])


def test_a_dependency_that_does_not_exist_is_named_and_publishes_nothing() -> None:
    ada = a_person()

    with pytest.raises(UnknownAsset, match="nobody/nothing"):
        publish(
            owner=ada,
            published_by=ada,
            files=skill_files(a_name()),
            dependencies=[DependencyRequest("nobody/nothing", "^1")],
        )

    assert not Asset.objects.filter(owner=ada).exists()


def test_of_those_who_publish_one_number_at_once_one_does() -> None:
    ada, name = a_person(), a_name()

    outcomes = together([lambda: a_skill(ada, name=name, version="1.0.0")] * 6)

    assert sum(isinstance(one, Version) for one in outcomes) == 1
    assert sum(isinstance(one, VersionExists) for one in outcomes) == 5


def test_those_who_publish_without_a_number_at_once_get_one_each() -> None:
    ada, name = a_person(), a_name()

    outcomes = together([lambda: a_skill(ada, name=name)] * 5)

    assert sorted(one.number for one in outcomes if isinstance(one, Version)) == [
        f"1.0.{patch}" for patch in range(5)
    ]


# --- Immutability --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE assets_version SET digest = repeat('0', 64) WHERE id = %(id)s",
        "UPDATE assets_version SET number = '9.9.9' WHERE id = %(id)s",
        "UPDATE assets_version SET published_xid = pg_current_xact_id() WHERE id = %(id)s",
        "UPDATE assets_version SET yanked_at = now(), description = 'x' WHERE id = %(id)s",
        "DELETE FROM assets_version WHERE id = %(id)s",
        "TRUNCATE assets_version CASCADE",
        "UPDATE assets_versionfile SET path = 'x' WHERE version_id = %(id)s",
        "DELETE FROM assets_versionfile WHERE version_id = %(id)s",
        "UPDATE assets_dependency SET rate_bps = 500 WHERE version_id = %(id)s",
        "DELETE FROM assets_closure WHERE version_id = %(id)s",
        "UPDATE assets_share SET rate_bps = 1 WHERE version_id = %(id)s",
        "TRUNCATE assets_share",
        """INSERT INTO assets_share (version_id, beneficiary_id, rate_bps)
            SELECT %(id)s, min(id), 100 FROM assets_version""",
        """INSERT INTO assets_versionfile (version_id, path, mode, size, sha256)
            SELECT %(id)s, 'late', 420, size, sha256 FROM assets_blob LIMIT 1""",
    ],
)
def test_a_published_version_cannot_be_changed_in_the_database(statement: str) -> None:
    a_skill()  # which nobody rests on
    first = a_skill()
    version = a_skill(needs=[first])
    before = Version.objects.values().get(pk=version.pk)

    with (
        as_owner(),
        pytest.raises(DatabaseError, match=r"append-only|immutable|complete"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, {"id": version.pk})

    assert Version.objects.values().get(pk=version.pk) == before
    assert graph.shares_of(version).edges[0].rate_bps == 1_000


def test_a_yank_is_once_and_for_all() -> None:
    version = a_skill()

    yanked = yank(version, reason=" Leaks the key. ")

    assert yanked.is_yanked
    assert yanked.yank_reason == "Leaks the key."
    with pytest.raises(YankedAlready):
        yank(version, reason="Again.")
    with pytest.raises(DatabaseError, match="stays yanked"), transaction.atomic():
        Version.objects.filter(pk=version.pk).update(yanked_at=None, yank_reason="")


def test_a_yank_needs_a_reason() -> None:
    with pytest.raises(catalog.InvalidInput):
        yank(a_skill(), reason="  ")


def test_after_a_yank_the_asset_shows_the_version_before() -> None:
    first = a_skill(description="First.")
    owner, name = first.asset.owner, first.asset.name
    second = a_skill(owner, name=name, description="Second.")

    yank(second, reason="Broken.")

    assert find_version(owner.handle, name) == first
    assert find_asset(owner.handle, name).description == "First."
    assert find_version(owner.handle, name, "1.0.1").is_yanked


# --- Finding -------------------------------------------------------------------------------------


def test_what_does_not_exist_is_unknown() -> None:
    version = a_skill()
    owner, name = version.asset.owner.handle, version.asset.name

    for wrong in ((owner, "nothing"), ("nobody", name), (owner, "a\0b")):
        with pytest.raises(UnknownAsset):
            find_asset(*wrong)
    for number in ("9.9.9", "1", "a\0b"):
        with pytest.raises(UnknownVersion):
            find_version(owner, name, number)
    for path in ("nothing", "../x", "a\0b"):
        with pytest.raises(UnknownFile):
            catalog.read_file(version, path)


def test_an_asset_with_every_version_yanked_is_found_only_by_number() -> None:
    word = a_name("word").replace("-", "")
    version = a_skill(description=word)
    owner, name = version.asset.owner.handle, version.asset.name

    yank(version, reason="Broken.")

    assert not search(q=word).exists()
    assert find_version(owner, name, "1.0.0").is_yanked
    with pytest.raises(UnknownVersion):
        find_version(owner, name)


def test_a_search_finds_any_word_and_ranks_more_of_them_and_names_first() -> None:
    one, two = (a_name("w").replace("-", "") for _ in range(2))
    in_text = a_skill(description=f"About {one}.").asset
    in_tags = a_skill(tags=[one]).asset
    in_name = a_skill(name=f"the-{one}-tool").asset
    both = a_skill(name=f"{one}-{two}").asset
    a_skill(description="About something else.")

    assert list(search(q=f"{one} {two}")) == [both, in_name, in_tags, in_text]


def test_an_exact_reference_comes_first() -> None:
    name = a_name("exact")
    others = [a_skill(name=f"{name}-{name}", tags=[name], description=name) for _ in range(2)]
    exact = a_skill(name=name).asset

    found = list(search(q=f"{exact.owner.handle}/{name}"))

    assert found[0] == exact
    assert {other.asset for other in others} <= set(found)


def test_a_search_is_narrowed_by_kind_tag_and_owner() -> None:
    ada, tag = a_person(), a_name("tag")
    skill = a_skill(ada, tags=[tag]).asset
    trace = publish(
        owner=ada, published_by=ada, files={"t": b"x"}, kind="trace", name=a_name(), tags=[tag]
    ).asset
    elsewhere = a_skill(tags=[tag]).asset

    assert list(search(tag=tag)) == [elsewhere, trace, skill]
    assert list(search(tag=tag.upper(), owner=ada.handle)) == [trace, skill]
    assert list(search(owner=ada.handle, kind="trace")) == [trace]


@pytest.mark.parametrize(
    "q", ["!!!", "a & ! | (", "'; --", "\0", "<->", ":*", "\ud800", "x " * 500]
)
def test_any_text_can_be_searched_for(q: str) -> None:
    assert isinstance(list(search(q=q, owner="no\0body", tag="\ud800")), list)


def test_a_page_of_a_search_takes_one_query(django_assert_num_queries: QueryCount) -> None:
    word = a_name("page").replace("-", "")
    for _ in range(5):
        a_skill(description=word)

    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        page = [
            (asset.reference, asset.latest and asset.latest.number, asset.rank)  # type: ignore[attr-defined]
            for asset in search(q=word)[:20]
        ]

    assert len(page) == 5


# --- Archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_an_archive_has_the_files_and_always_the_same_bytes(form: str) -> None:
    files = {"SKILL.md": b"x", "data/größe.csv": b"1;2\n" * 9_000}
    version = a_skill(files=files)
    twin = a_skill(files=dict(reversed(files.items())))

    with archive_of(version, form) as archive, archive_of(twin, form) as other:  # type: ignore[arg-type]
        data = archive.read()
        assert data == other.read()

    assert read_archive(data) == files


def test_an_archive_takes_one_query_however_many_files(
    django_assert_num_queries: QueryCount,
) -> None:
    version = a_skill(files={"SKILL.md": b"x"} | {f"f{n}": b"y" for n in range(30)})

    with django_assert_num_queries(1), archive_of(version) as archive:  # type: ignore[attr-defined]
        assert len(read_archive(archive.read())) == 31
