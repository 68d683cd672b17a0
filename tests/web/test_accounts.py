"""Signing up, in and out."""

import pytest
from django.test import Client, override_settings

from marketplace.participants.models import Kind, Participant
from marketplace.web.accounts import Adapter
from tests.builders.people import a_handle, a_person
from tests.builders.work import available
from tests.web.reading import Answer, elements_of, signed_in, text_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def sign_up(handle: str, password: str = PASSWORD, **more: str) -> Answer:
    given = {"username": handle, "password1": password, "password2": password, **more}
    return Client().post("/accounts/signup/", given)


def errors_beside(answer: Answer, name: str) -> bool:
    """Say whether the field of this name points to an error that stands beside it."""
    elements = elements_of(answer)
    (field,) = [i for i in elements.all("input") if i.get("name") == name]
    described = str(field.get("aria-describedby") or "").split()
    listed = {ul.get("id") for ul in elements.all("ul") if ul.get("class") == "errorlist"}
    return field.get("aria-invalid") == "true" and bool(listed.intersection(described))


def test_signing_up_makes_a_person_with_a_grant_who_is_signed_in() -> None:
    handle, client = a_handle(), Client()

    answer = client.post(
        "/accounts/signup/",
        {
            "username": handle,
            "display_name": "Ada L.",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )

    person = Participant.objects.get(handle=handle)
    assert answer.status_code == 302
    assert (person.kind, person.display_name) == (Kind.HUMAN, "Ada L.")
    assert available(person) == 100_000_000
    assert client.get("/wallet").status_code == 200


def test_a_name_that_is_left_out_is_the_handle() -> None:
    handle = a_handle()

    sign_up(handle)

    assert Participant.objects.get(handle=handle).display_name == handle


@pytest.mark.parametrize("handle", ["Ada", "a", "-ada", "a" * 40, "ada lovelace", "admin", "hansa"])
def test_a_handle_that_cannot_be_had_is_refused_beside_its_field(handle: str) -> None:
    answer = sign_up(handle)

    assert not Participant.objects.filter(handle=handle).exists()
    assert errors_beside(answer, "username")


def test_a_taken_handle_is_refused_beside_its_field() -> None:
    taken = a_person().handle

    answer = sign_up(taken)

    assert errors_beside(answer, "username")
    assert "Somebody has this handle. Choose another handle." in text_of(answer)


def test_losing_the_race_for_a_handle_is_told_like_a_taken_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = a_person().handle
    monkeypatch.setattr(Adapter, "clean_username", lambda _self, username, **_: username)

    answer = sign_up(taken)

    assert errors_beside(answer, "username")
    assert "Somebody has this handle" in text_of(answer)


@pytest.mark.parametrize("password", ["short", "1234567890123", "password1234"])
def test_a_weak_password_is_refused_beside_its_field(password: str) -> None:
    handle = a_handle()

    answer = sign_up(handle, password)

    assert not Participant.objects.filter(handle=handle).exists()
    assert errors_beside(answer, "password1")


def test_what_was_typed_stays_but_passwords_do_not() -> None:
    answer = sign_up("admin", display_name="Ada L.")

    values = {i.get("name"): i.get("value") for i in elements_of(answer).all("input")}
    assert values["username"] == "admin"
    assert values["display_name"] == "Ada L."
    assert values["password1"] is None


@override_settings(GRANTS_PER_ADDRESS_PER_DAY=1)
def test_an_address_is_granted_as_often_as_the_setting_allows() -> None:
    first, second = a_handle(), a_handle()
    for handle in (first, second):
        Client(REMOTE_ADDR="2001:db8:7777::1").post(
            "/accounts/signup/",
            {"username": handle, "password1": PASSWORD, "password2": PASSWORD},
        )

    assert available(Participant.objects.get(handle=first)) == 100_000_000
    assert available(Participant.objects.get(handle=second)) == 0


def test_signing_in_leads_to_where_one_wanted_to_go_but_never_elsewhere() -> None:
    person = a_person(password=PASSWORD)
    given = {"login": person.handle, "password": PASSWORD}

    inside = Client().post("/accounts/login/?next=/wallet", given)
    outside = Client().post("/accounts/login/?next=//elsewhere.example", given)

    assert inside["Location"] == "/wallet"
    assert outside["Location"] == "/"


def test_a_wrong_password_is_told_without_saying_which_half_was_wrong() -> None:
    person = a_person(password=PASSWORD)

    wrong = Client().post("/accounts/login/", {"login": person.handle, "password": "wrong"})
    nobody = Client().post("/accounts/login/", {"login": "nobody-x", "password": "wrong"})

    told = "The handle and the password do not belong together."
    assert told in text_of(wrong)
    assert told in text_of(nobody)


def test_whoever_is_not_active_cannot_sign_in() -> None:
    person = a_person(password=PASSWORD)
    Participant.objects.filter(pk=person.pk).update(is_active=False)
    client = Client()

    client.post("/accounts/login/", {"login": person.handle, "password": PASSWORD})

    assert client.get("/wallet").status_code == 302


def test_signing_out_needs_a_post() -> None:
    client = signed_in(a_person())

    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/wallet").status_code == 200
    assert client.post("/accounts/logout/").status_code == 302
    assert client.get("/wallet").status_code == 302


def test_a_password_is_changed_by_whoever_knows_the_old_one() -> None:
    person = a_person(password=PASSWORD)
    client = signed_in(person)
    new = {"password1": "another long password", "password2": "another long password"}

    refused = client.post("/accounts/password/change/", {"oldpassword": "wrong", **new})
    changed = client.post("/accounts/password/change/", {"oldpassword": PASSWORD, **new})

    assert errors_beside(refused, "oldpassword")
    assert changed.status_code == 302
    assert Participant.objects.get(pk=person.pk).check_password("another long password")


@pytest.mark.parametrize("path", ["password/reset/", "reauthenticate/", "confirm-email/"])
def test_pages_that_would_need_mail_do_not_exist(path: str) -> None:
    assert Client().get(f"/accounts/{path}").status_code == 404
