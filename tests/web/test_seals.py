"""The public page of the sealed books."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from credits import seals, verifier
from tests.builders.people import a_person
from tests.credits.books import seal_everything
from tests.web.reading import Answer, links_of, next_link_of, signed_in, text_of

pytestmark = pytest.mark.django_db


def numbers_on(answer: Answer) -> list[int]:
    return [one.number for one in answer.context["seals"]]


@pytest.fixture(autouse=True)
def _some_blocks() -> None:
    for _ in range(3):
        a_person()
        seal_everything()


def newest() -> seals.Seal:
    return seals.list_seals(limit=1, newest_first=True)[0]


def test_anybody_sees_the_blocks_with_the_newest_first() -> None:
    answer = Client().get("/seals")

    last = newest()
    assert answer.status_code == 200
    assert numbers_on(answer)[:3] == [last.number, last.number - 1, last.number - 2]
    assert f"Block {last.number} " in text_of(answer)
    assert f"{last.number}:{last.hash}" in text_of(answer)


def test_blocks_are_paged_without_a_gap_down_to_the_first() -> None:
    for _ in range(20):
        a_person()
        seal_everything()
    client, last = Client(), newest()
    answers = [client.get(f"/seals?first={last.number - 22}")]
    a_person()
    seal_everything()  # a block arrives meanwhile

    while (following := next_link_of(answers[-1])) is not None:
        answers.append(client.get(f"/seals{following}"))

    seen = [number for answer in answers for number in numbers_on(answer)]
    assert len(answers) == 2
    assert seen == list(range(last.number, last.number - 23, -1))


def test_blocks_are_chosen_by_number() -> None:
    last = newest().number

    def chosen(query: str) -> list[int]:
        answer = Client().get(f"/seals?{query}")
        assert answer.status_code == 200
        return numbers_on(answer)

    assert chosen(f"first={last - 1}&last={last - 1}") == [last - 1]
    assert chosen(f"last={last - 1}")[0] == last - 1
    assert chosen(f"first={last - 1}") == [last, last - 1]
    assert chosen("first=2&last=1") == []
    assert "No block is like that." in text_of(Client().get(f"/seals?first={10**15}"))


@pytest.mark.parametrize(
    "query", ["first=0", "first=x", "last=-1", f"last={10**15 + 1}", "first=%00"]
)
@pytest.mark.parametrize("path", ["/seals", "/seals/blocks.jsonl"])
def test_a_number_that_no_block_has_says_why(path: str, query: str) -> None:
    answer = Client().get(f"{path}?{query}")

    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/html")
    assert "valid" in text_of(answer) or "equal to" in text_of(answer)


def test_a_cursor_that_no_page_gave_is_refused() -> None:
    assert Client().get("/seals?cursor=nope").status_code == 400


def test_a_line_is_verified_against_a_hash_that_was_noted_later(tmp_path: Path) -> None:
    ada = a_person()
    seal_everything()
    (line,) = signed_in(ada).get("/wallet").context["lines"]
    proof = signed_in(ada).get(f"/wallet/statement/{line.line['id']}/proof.json")
    a_person()
    seal_everything()
    noted = newest()

    page = Client().get(f"/seals?first={line.block}&last={noted.number}")
    (download,) = [link for link in links_of(page) if "blocks.jsonl" in link]
    (program,) = [link for link in links_of(page) if link.endswith("verifier.py")]
    for name, answer in (
        ("proof.json", proof),
        ("blocks.jsonl", Client().get(download)),
        ("verifier.py", Client().get(program)),
    ):
        assert answer["Content-Disposition"].startswith("attachment")
        (tmp_path / name).write_bytes(answer.content)
    said = subprocess.run(
        [
            *(sys.executable, "-I", "verifier.py", "proof.json", "--blocks", "blocks.jsonl"),
            *("--seal", f"{noted.number}:{noted.hash}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stdout + said.stderr
    assert f"The hash of block {noted.number}, which you trust, vouches for it." in said.stdout


def test_a_file_of_blocks_has_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace.web.seals.MOST_BLOCKS", 2)
    monkeypatch.setattr("credits.seals.MAX_SEALS", 1)
    last = newest().number

    lines = Client().get(f"/seals/blocks.jsonl?first={last - 2}").content.decode().splitlines()

    assert [json.loads(line)["number"] for line in lines] == [last - 2, last - 1]


def test_the_verifier_is_the_one_of_the_source_and_its_hash_is_shown() -> None:
    answer = Client().get("/seals/verifier.py")

    source = Path(verifier.__file__).read_bytes()
    assert answer.content == source
    assert answer["Cache-Control"] == "public, max-age=60"
    assert hashlib.sha256(source).hexdigest() in text_of(Client().get("/seals"))


def test_no_salt_is_on_any_page_or_in_any_file() -> None:
    for path in ("/seals", "/seals/blocks.jsonl", "/api/v1/credits/seals"):
        assert "salt" not in Client().get(path).content.decode()
