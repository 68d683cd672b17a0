import pytest
import semantic_version
from hypothesis import given
from hypothesis import strategies as st

from assets.semver import InvalidVersion, is_range, matches, parse

IDENTIFIERS = st.one_of(
    st.integers(0, 200).map(str),
    st.sampled_from(["a", "alpha", "alpha-x", "beta", "rc", "1a", "-", "Z"]),
)
NUMBERS = st.builds(
    lambda core, pre: ".".join(map(str, core)) + ("-" + ".".join(pre) if pre else ""),
    st.tuples(*[st.integers(0, 12)] * 3),
    st.lists(IDENTIFIERS, max_size=3),
)


@given(NUMBERS, NUMBERS)
def test_the_sort_key_orders_as_semver_does(left: str, right: str) -> None:
    ours, theirs = parse(left).precedence, parse(right).precedence
    expected = semantic_version.Version(left), semantic_version.Version(right)

    assert (ours.encode() < theirs.encode()) == (expected[0] < expected[1])
    assert (ours == theirs) == (expected[0] == expected[1])


@pytest.mark.parametrize(
    "number",
    [
        "0.0.0",
        "1.2.3",
        "10.20.30",
        "1.0.0-alpha.1",
        "1.0.0-0A.is.legal",
        "1.0.0+21AF26",
        "2.0.0-rc.1+b.5",
    ],
)
def test_a_number_is_kept_as_it_was_written(number: str) -> None:
    assert str(parse(number)) == number


@pytest.mark.parametrize(
    "number",
    [
        "",
        "1",
        "1.2",
        "v1.2.3",
        "01.1.1",
        "1.2.3-01",
        "1.2.3-",
        "1.2.3+",
        "1.2.3.4",
        "1.2.3\n",
        "\u0967.\u0966.\u0966",
        "1.0.0 ",
        "^1.0.0",
        "12345678901.0.0",
        "1.0.0-" + "a" * 60,
    ],
)
def test_what_is_not_strict_semver_is_refused(number: str) -> None:
    with pytest.raises(InvalidVersion):
        parse(number)


def test_build_metadata_has_no_say_in_the_order() -> None:
    assert parse("1.0.0+a").precedence == parse("1.0.0+b").precedence == parse("1.0.0").precedence


def test_the_next_patch_of_a_pre_release_is_its_release() -> None:
    assert str(parse("1.2.3").next_patch) == "1.2.4"
    assert str(parse("1.2.3-rc.1").next_patch) == "1.2.3"


@pytest.mark.parametrize(
    "constraint", ["^1.2", "*", "1.x", ">=1.0 <3", "~1.2.3", "1.0.0 - 2.0.0", "^1 || ^3"]
)
def test_npm_ranges_are_understood(constraint: str) -> None:
    assert is_range(constraint)


@pytest.mark.parametrize(
    "constraint", ["", " ", "latest", "^", "1.0.0.0", "git+https://x", "\u0661.\u0660", "^1 " * 40]
)
def test_other_things_are_no_ranges(constraint: str) -> None:
    assert not is_range(constraint)


def test_a_pre_release_matches_only_a_range_that_names_one() -> None:
    assert not matches("^1.0.0", "1.1.0-rc.1")
    assert matches(">=1.1.0-rc.0", "1.1.0-rc.1")
