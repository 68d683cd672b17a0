"""Searching, reading, using and publishing assets on the pages."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from assets.models import Version
from marketplace.participants.models import Participant
from marketplace.reuse.models import Use
from marketplace.reuse.usecases.yank_version import yank_version
from tests.builders.assets import a_skill, an_asset_name, skill_md
from tests.builders.people import a_person
from tests.builders.work import a_claimed_task, an_accepted_delivery, available
from tests.web.reading import Answer, Typed, download, links_of, next_link_of, signed_in, text_of

pytestmark = pytest.mark.django_db


def path_of(version: Version) -> str:
    return f"/assets/{version.asset.reference}/{version.number}"


def a_bundle(files: dict[str, str]) -> SimpleUploadedFile:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return SimpleUploadedFile("bundle.zip", packed.getvalue())


# --- Finding --------------------------------------------------------------------------------------


def test_assets_are_found_by_words_and_filters() -> None:
    ada = a_person()
    skill = a_skill(ada)

    for query in ({"q": skill.asset.reference}, {"owner": ada.handle, "kind": "skill"}):
        assert f"/assets/{skill.asset.reference}" in links_of(Client().get("/assets", query))
    nothing = Client().get("/assets", {"owner": ada.handle, "kind": "trace"})
    assert "No asset is like that." in text_of(nothing)


def test_pages_of_assets_follow_each_other() -> None:
    ada = a_person()
    made = {f"/assets/{a_skill(ada).asset.reference}" for _ in range(23)}

    first = Client().get("/assets", {"owner": ada.handle})
    following = next_link_of(first)
    assert following is not None
    second = Client().get(f"/assets{following}")

    seen = [link for page in (first, second) for link in links_of(page) if link in made]
    assert len(seen) == 23
    assert set(seen) == made


# --- Reading --------------------------------------------------------------------------------------


def test_a_free_asset_is_read_by_everybody_without_its_front_matter() -> None:
    skill = a_skill(price=0)

    answer = Client().get(path_of(skill))

    said = text_of(answer)
    assert skill.asset.name in said
    assert "description: Reads" not in said
    archive = next(link for link in links_of(answer) if link.endswith("/archive"))
    assert download(Client(), archive).startswith(b"PK")


def test_files_of_a_priced_version_are_shown_to_its_owner_and_its_users() -> None:
    skill = a_skill()
    user, stranger = a_person(), a_person()
    signed_in(user).post(path_of(skill), {"version": skill.number, "max_charge": "0.1"})

    for reader in (skill.asset.owner, user):
        assert "Download as zip" in text_of(signed_in(reader).get(path_of(skill)))
    for answer in (signed_in(stranger).get(path_of(skill)), Client().get(path_of(skill))):
        assert "Download as zip" not in text_of(answer)
        assert "A use costs 0.1 credits" in text_of(answer)
        assert not any("/archive" in link for link in links_of(answer))


def test_dependencies_and_the_lock_are_shown_with_links() -> None:
    needed = a_skill()
    skill = a_skill(dependencies=[needed])

    answer = Client().get(path_of(skill))

    assert path_of(needed) in links_of(answer)
    assert "The lock" in text_of(answer)
    assert "1 other asset rests on it" in text_of(Client().get(path_of(needed)))


def test_a_yanked_version_is_read_but_not_used() -> None:
    skill = a_skill()
    yank_version(
        actor=skill.asset.owner,
        owner=skill.asset.owner.handle,
        name=skill.asset.name,
        number=skill.number,
        reason="It was wrong.",
    )

    for path in (path_of(skill), f"/assets/{skill.asset.reference}"):
        answer = signed_in(a_person()).get(path)
        assert "It was wrong." in text_of(answer)
        assert 'name="max_charge"' not in answer.content.decode()


def test_a_version_that_does_not_exist_is_not_found() -> None:
    skill = a_skill()

    assert Client().get(f"/assets/{skill.asset.reference}/9.9.9").status_code == 404


# --- Using ----------------------------------------------------------------------------------------


def test_a_use_is_paid_at_once_for_the_price_that_the_page_showed() -> None:
    skill, bo = a_skill(), a_person()

    page = signed_in(bo).get(path_of(skill))
    form = page.context["form"]
    answer = signed_in(bo).post(
        path_of(skill), {name: form[name].value() or "" for name in form.fields}
    )

    assert "Use it for 0.1 credits" in text_of(page)
    assert skill.asset.owner.handle in text_of(page)
    assert answer["Location"] == path_of(skill)
    assert available(bo) == 99_900_000


def test_a_use_for_a_task_that_one_holds_is_owed_by_it() -> None:
    skill, bo = a_skill(), a_person()
    task = a_claimed_task(worker=bo)

    page = signed_in(bo).get(path_of(skill))
    signed_in(bo).post(
        path_of(skill), {"version": skill.number, "max_charge": "0.1", "task": task.public_id}
    )

    assert task.title in text_of(page)
    assert available(bo) == 100_000_000
    assert Use.objects.get(operator=bo).state == "bound"


def test_a_dearer_use_than_was_consented_to_is_refused() -> None:
    skill, bo = a_skill(), a_person()

    answer = signed_in(bo).post(path_of(skill), {"version": skill.number, "max_charge": "0.05"})

    assert answer.status_code == 409
    assert "It costs more than you consented to" in text_of(answer)
    assert "Price: 0.1 credits" in text_of(answer)
    assert available(bo) == 100_000_000


@pytest.mark.parametrize("field", ["version", "max_charge", "task"])
def test_a_use_with_a_forged_field_is_refused(field: str) -> None:
    skill, bo = a_skill(), a_person()
    typed = {"version": skill.number, "max_charge": "0.1"} | {field: "nonsense"}

    answer = signed_in(bo).post(path_of(skill), typed)

    assert answer.status_code in (400, 404)
    assert not Use.objects.filter(operator=bo).exists()


def test_a_visitor_signs_in_before_using() -> None:
    skill = a_skill()

    answer = Client().post(path_of(skill), {"version": skill.number, "max_charge": "0.1"})

    assert answer["Location"].startswith("/accounts/login/")


# --- Publishing -----------------------------------------------------------------------------------


def published(owner: Participant, **typed: Typed) -> Answer:
    return signed_in(owner).post("/assets/new", typed)


def test_a_bundle_is_published_at_its_price_with_its_dependencies() -> None:
    ada, needed, name = a_person(), a_skill(), an_asset_name()

    answer = published(
        ada,
        bundle=a_bundle({"SKILL.md": skill_md(name), "scripts/run.py": "print(1)\n"}),
        price="0.25",
        tags="csv, prices",
        dependencies=f"{needed.asset.reference} *",
    )

    assert answer.status_code == 302
    said = text_of(signed_in(ada).get(answer["Location"]))
    assert f"{ada.handle}/{name}" in said
    assert "0.25 credits a use" in said
    assert "scripts/run.py" in said
    assert needed.asset.reference in said


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ({}, 400, "required"),
        ({"price": "lots"}, 400, "Write an amount"),
        ({"version": "one"}, 400, "version"),
        ({"dependencies": "nobody/nothing ^1"}, 404, "No such asset"),
        ({"kind": "poem"}, 400, "valid choice"),
        ({"source_task": "nope"}, 400, "task_"),
    ],
)
def test_a_publication_that_is_not_valid_says_why(
    typed: dict[str, str], status: int, said: str
) -> None:
    ada = a_person()
    bundle = {} if not typed else {"bundle": a_bundle({"SKILL.md": skill_md(an_asset_name())})}

    answer = published(ada, **bundle, **typed)

    assert answer.status_code == status
    assert said in text_of(answer)
    assert not ada.assets.exists()


@pytest.mark.parametrize("name", ["../up.md", "/root.md", "a\\b.md"])
def test_a_hostile_archive_is_refused_beside_its_field(name: str) -> None:
    ada = a_person()

    answer = published(ada, bundle=a_bundle({"SKILL.md": skill_md("x"), name: "y"}))

    assert answer.status_code == 400
    assert not ada.assets.exists()


def test_something_that_is_no_archive_is_refused() -> None:
    ada = a_person()

    answer = published(ada, bundle=SimpleUploadedFile("bundle.zip", b"not an archive"))

    assert answer.status_code == 400


def test_an_asset_comes_out_of_ones_own_work_or_names_no_task() -> None:
    delivery = an_accepted_delivery()
    name = an_asset_name()
    source = delivery.task.public_id

    def naming_it(author: Participant) -> Answer:
        bundle = a_bundle({"SKILL.md": skill_md(name)})
        return published(author, bundle=bundle, source_task=source)

    refused, taken = naming_it(a_person()), naming_it(delivery.worker)

    assert refused.status_code == 400
    assert "Name a task that you posted, or were accepted for." in text_of(refused)
    assert taken.status_code == 302


def test_a_number_is_published_once() -> None:
    ada = a_person()
    skill = a_skill(ada)
    bundle = {"SKILL.md": skill_md(skill.asset.name)}

    answer = published(ada, bundle=a_bundle(bundle), version=skill.number)

    assert answer.status_code == 409
    assert "This version is published" in text_of(answer)
