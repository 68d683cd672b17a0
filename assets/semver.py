"""Version numbers: strict Semantic Versioning 2.0.0, and npm-style ranges over them.

Source: https://semver.org/spec/v2.0.0.html
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import semantic_version

NUMBER_CHARACTERS = 64
CONSTRAINT_CHARACTERS = 100
# Ten digits a part, so that the sort key can pad them; a date such as 20261231 fits with room.
PART_DIGITS = 10

# The expression that semver.org suggests. Parts are ASCII digits: `\d` would let other scripts in.
_STRICT = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
# Ends the key of a release. It is above every character an identifier may have, so that a release
# sorts after its pre-releases.
RELEASE = "~"
# Below every character an identifier may have, so that `alpha.1` sorts before `alpha-1`.
_SEPARATOR = "!"


class InvalidVersion(Exception):
    """A version number is not strict semver, or is longer than is kept.

    Attributes:
        number: The text that was given.
    """

    def __init__(self, number: str) -> None:
        super().__init__(f"{number[:80]!r} is no semantic version such as 1.0.0")
        self.number = number


@dataclass(frozen=True, slots=True)
class Number:
    """A parsed version number."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...]
    build: str

    @property
    def precedence(self) -> str:
        """A text that sorts by its bytes as semver says versions do; build metadata has no say."""
        core = ".".join(f"{part:0{PART_DIGITS}}" for part in (self.major, self.minor, self.patch))
        if not self.prerelease:
            return core + RELEASE
        # Numeric identifiers sort by value (their length first) and before all others.
        keys = (f"0{len(one):02}{one}" if one.isdigit() else f"1{one}" for one in self.prerelease)
        return core + _SEPARATOR + _SEPARATOR.join(keys)

    @property
    def next_patch(self) -> "Number":
        """The next patch; of a pre-release, the release that it precedes."""
        patch = self.patch if self.prerelease else self.patch + 1
        return Number(self.major, self.minor, patch, (), "")

    @property
    def without_build(self) -> "Number":
        """The same place in the order; a range has no word for build metadata."""
        return Number(self.major, self.minor, self.patch, self.prerelease, "")

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.prerelease:
            text += "-" + ".".join(self.prerelease)
        return f"{text}+{self.build}" if self.build else text


FIRST = Number(1, 0, 0, (), "")


def parse(text: str) -> Number:
    """Return the number that *text* writes.

    Raises:
        InvalidVersion: Not strict semver (no leading `v`, no missing part, no leading zeros), more
            than 64 characters, or a part of more than ten digits.
    """
    match = _STRICT.fullmatch(text) if len(text) <= NUMBER_CHARACTERS else None
    if match is None or any(len(part) > PART_DIGITS for part in match.group(1, 2, 3)):
        raise InvalidVersion(text)
    major, minor, patch, prerelease, build = match.groups()
    return Number(
        int(major),
        int(minor),
        int(patch),
        tuple(prerelease.split(".")) if prerelease else (),
        build or "",
    )


def is_range(constraint: str) -> bool:
    """Say whether *constraint* is an npm-style range such as `^1.2`, `>=1 <3` or `*`."""
    if (
        not constraint.strip()
        or len(constraint) > CONSTRAINT_CHARACTERS
        or not constraint.isascii()
    ):
        return False
    try:
        _range(constraint)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def matches(constraint: str, number: str) -> bool:
    """Say whether *number* is in the range *constraint*; both are known to be well-formed."""
    return bool(_range(constraint).match(semantic_version.Version(number)))


@lru_cache(maxsize=1024)
def _range(constraint: str) -> semantic_version.NpmSpec:
    return semantic_version.NpmSpec(constraint.strip())
