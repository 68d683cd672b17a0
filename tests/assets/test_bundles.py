import json
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import strategies as st

from assets.bundles import DependencyRequest, InvalidBundle, plain, read, slug

CORPUS = Path(django_settings.BASE_DIR).parent / "shared/data/skills_eval/corpus.jsonl"


def a_skill_file(front_matter: str) -> dict[str, bytes]:
    return {"SKILL.md": f"---\n{front_matter}\n---\nBody\n".encode()}


def a_sidecar(**members: object) -> dict[str, bytes]:
    return {"asset.json": json.dumps(members).encode()}


def test_name_and_description_come_from_the_front_matter() -> None:
    said = read(
        a_skill_file("name: Parse Invoices\ndescription: >\n  Reads\n  invoices.\nlicense: MIT")
    )

    assert (said.name, said.description, said.license) == (
        "parse-invoices",
        "Reads invoices.",
        "MIT",
    )


def test_a_front_matter_that_is_no_yaml_still_tells_its_name() -> None:
    said = read(a_skill_file("name: 'csv'\ndescription: Use when: you have CSV\nname: other\n- ["))

    assert (said.name, said.description) == ("csv", "Use when: you have CSV")


@pytest.mark.parametrize(
    "front_matter",
    [
        "a: &a [x, x]\nb: [*a, *a]\nname: bomb",
        "name: &n bomb\ndescription: *n",
        "base: &base {a: 1}\nname: bomb\nmore:\n  <<: *base",
        "name: &lonely bomb",
    ],
)
def test_yaml_anchors_and_aliases_are_refused(front_matter: str) -> None:
    with pytest.raises(InvalidBundle) as refusal:
        read(a_skill_file(front_matter))

    assert (refusal.value.pointer, refusal.value.code) == ("/files/SKILL.md", "yaml_alias")


@pytest.mark.parametrize(
    "rest",
    [
        "x: " + "[" * 3_000,
        "x: !!python/object/apply:os.system ['true']",
        "x: 2024-13-45",
        "x: 0x" + "f" * 9_000,
        "x: " + "9" * 9_000,
        "x: .nan",
        'x: "\\0"',
        "? [a, b]\n: c",
    ],
)
def test_a_strange_front_matter_neither_breaks_nor_hides_the_name(rest: str) -> None:
    said = read(a_skill_file(f"name: fine\n{rest}"))

    assert said.name == "fine"
    assert "\\u0000" not in json.dumps(said.front_matter, allow_nan=False)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"---\nname: x\n", "front_matter_open"),
        (b"---\nname: x\n" + b"#" * 20_000 + b"\n---\n", "front_matter_open"),
        (b"\xff\xfe---\n", "not_utf8"),
    ],
)
def test_a_front_matter_that_cannot_be_found_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(InvalidBundle) as refusal:
        read({"SKILL.md": content})

    assert refusal.value.code == code


def test_a_rule_in_a_text_is_no_front_matter() -> None:
    assert read({"SKILL.md": b"# Title\n---\nname: x\n---\n"}).name is None


def test_the_sidecar_comes_before_the_front_matter() -> None:
    sidecar = a_sidecar(
        name="b", version="1.2.0", tags=["x"], dependencies=[{"asset": "o/n", "constraint": "^1"}]
    )

    said = read(a_skill_file("name: a") | sidecar)

    assert (said.name, said.version, said.tags) == ("b", "1.2.0", ("x",))
    assert said.dependencies == (DependencyRequest("o/n", "^1", 1_000),)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{",
        b"[" * 5_000,
        b'{"name": 1}',
        b'{"tags": "x"}',
        b'{"dependencies": {}}',
        b'{"dependencies": [{"asset": "a/b"}]}',
        b'{"dependencies": [{"asset": "a/b", "constraint": "*", "rate_bps": true}]}',
        b" " * 70_000,
    ],
)
def test_a_malformed_sidecar_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidBundle) as refusal:
        read({"asset.json": content})

    assert refusal.value.pointer == "/files/asset.json"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_plain_values_can_be_held_by_a_database(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False)

    assert "\\u0000" not in text
    text.encode()
    assert plain(json.loads(text)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Größe & Co", "groe-co"), ("a_b", "a-b"), ("日本", ""), ("-x-", "x"), ("A" * 80, "a" * 64)],
)
def test_a_name_is_brought_into_the_form_of_names(text: str, name: str) -> None:
    assert slug(text) == name


def test_real_skills_are_read() -> None:
    if not CORPUS.is_file():
        pytest.skip("the corpus of real skills is not beside this checkout")
    with CORPUS.open() as lines:
        skills = [json.loads(line) for line, _ in zip(lines, range(150), strict=False)]

    for skill in skills:
        text = f"---\nname: {skill['name']}\ndescription: {skill['description']}\n---\n"
        said = read({"SKILL.md": f"{text}{skill['body_excerpt']}".encode()})

        assert said.name == slug(skill["name"])
        assert bool(said.description) == bool(skill["description"].strip())
