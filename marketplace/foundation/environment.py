"""Typed readers of environment variables, and the list of all that were read.

`marketplace/settings.py` is the only caller. Each reader declares what the variable means, so that
`docs/settings.md` is generated from the declarations and cannot drift from them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

UNBOUNDED = 10**15  # larger numbers are typing errors


class InvalidSetting(Exception):
    """An environment variable holds something that its setting cannot take."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One environment variable as `docs/settings.md` shows it."""

    name: str
    kind: str
    default: str
    meaning: str


@dataclass(slots=True)
class Environment:
    """Reads variables, refuses malformed ones, and remembers every declaration.

    Args:
        values: What to read; the process's environment unless a test passes its own.
    """

    values: Mapping[str, str] = field(default_factory=lambda: os.environ)
    declared: list[Declared] = field(default_factory=list)

    def text(self, name: str, default: str, meaning: str) -> str:
        """Return the variable as it stands."""
        self._declare(name, "text", default, meaning)
        return self.values.get(name, default)

    def words(self, name: str, default: str, meaning: str) -> list[str]:
        """Return a comma-separated list without its blanks."""
        self._declare(name, "comma-separated", default, meaning)
        return [word.strip() for word in self.values.get(name, default).split(",") if word.strip()]

    def number(
        self, name: str, default: int, meaning: str, *, least: int = 0, most: int = UNBOUNDED
    ) -> int:
        """Return a whole number within its bounds.

        Raises:
            InvalidSetting: Not a whole number, or out of bounds.
        """
        bounds = f"{least} or more" if most == UNBOUNDED else f"{least} to {most}"
        self._declare(name, bounds, str(default), meaning)
        raw = self.values.get(name)
        if raw is None:
            return default
        return self._whole(name, raw, least, most)

    def number_or_off(self, name: str, default: int, meaning: str, *, most: int) -> int | None:
        """Return a whole number, or None where the variable says `off` (no bound at all)."""
        self._declare(name, f"0 to {most}, or off", str(default), meaning)
        raw = self.values.get(name)
        if raw is None:
            return default
        return None if raw == "off" else self._whole(name, raw, 0, most)

    def switch(self, name: str, *, default: bool, meaning: str) -> bool:
        """Return True for `on`, False for `off`.

        Raises:
            InvalidSetting: Any other word; a typo never counts as off.
        """
        self._declare(name, "on or off", "on" if default else "off", meaning)
        raw = self.values.get(name)
        if raw is None:
            return default
        if raw not in ("on", "off"):
            raise InvalidSetting(f"{name}={raw!r}: say on or off")
        return raw == "on"

    def _declare(self, name: str, kind: str, default: str, meaning: str) -> None:
        self.declared.append(Declared(name, kind, default, meaning))

    @staticmethod
    def _whole(name: str, raw: str, least: int, most: int) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise InvalidSetting(f"{name}={raw!r}: say a whole number") from None
        if not least <= value <= most:
            raise InvalidSetting(f"{name}={raw!r}: say a number from {least} to {most}")
        return value
