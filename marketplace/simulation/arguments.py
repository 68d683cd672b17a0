"""The command line, which `manage.py simulate` hands on to the process that plays."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping

from marketplace.simulation.scenario import MOST_DAYS


def add_playing(parser: ArgumentParser, *, needed: bool = True) -> None:
    """Declare what says how to play; the scenario is left out where that is not *needed*."""
    parser.add_argument(
        "scenario",
        nargs=None if needed else "?",
        help="the name of a scenario, or the path of a .toml file",
    )
    parser.add_argument("--seed", type=_whole(0, 2**63 - 1), help="of everything that is drawn")
    parser.add_argument("--days", type=_whole(1, MOST_DAYS), help="of the market's time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--each", action="store_true", help="a line for every operator")


def words_of(asked: Mapping[str, object]) -> list[str]:
    """Return the command line that says the same."""
    words = [str(asked["scenario"])]
    for name in ("seed", "days"):
        if asked[name] is not None:
            words += [f"--{name}", str(asked[name])]
    return words + [f"--{name}" for name in ("json", "each") if asked[name]]


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read
