"""`python -m marketplace.simulation`: plays one scenario on the database that it is told of.

`manage.py simulate` makes an instance for it; see `instance.py`. A database that holds anybody is
refused.
"""

import argparse
import json
import sys
import time

import django
from django.core.management import call_command


def main() -> int:
    """Play, print what came of it, and return the status to exit with."""
    from marketplace.simulation import arguments  # noqa: PLC0415 - Django is set up now
    from marketplace.simulation.market import play  # noqa: PLC0415
    from marketplace.simulation.report import as_json, as_text  # noqa: PLC0415
    from marketplace.simulation.scenario import find  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    arguments.add_playing(parser)
    asked = parser.parse_args()
    scenario = find(asked.scenario)
    bar = Bar() if sys.stderr.isatty() else None
    if bar is not None:
        bar.show("making a database")
    call_command("migrate", verbosity=0)
    played = play(scenario, seed=asked.seed, days=asked.days, progress=bar)
    if bar is not None:
        bar.show("")
    told = (
        json.dumps(as_json(played), indent=2)
        if asked.json
        else as_text(played, with_each=asked.each)
    )
    sys.stdout.write(f"{told}\n")
    return 0 if played.is_right else 1


class Bar:
    """Draws how far a simulation is on one line of the terminal."""

    WIDTH = 30
    SECONDS_BETWEEN = 0.1

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.drawn_at = 0.0

    def __call__(self, day: float, days: int, moves: int) -> None:
        now = time.monotonic()
        if now - self.drawn_at < self.SECONDS_BETWEEN:
            return
        self.drawn_at = now
        filled = int(self.WIDTH * day / days)
        line = "#" * filled + "." * (self.WIDTH - filled)
        self.show(f"[{line}] day {day:.0f} of {days}, {moves:,} moves")

    def show(self, text: str) -> None:
        """Put *text* in place of what stands there."""
        sys.stderr.write(f"\r{text:<78.78}" if text else f"\r{'':78}\r")
        sys.stderr.flush()


if __name__ == "__main__":
    try:
        django.setup()
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says it; whoever started us says the rest
