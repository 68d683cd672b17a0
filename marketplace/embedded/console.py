"""What the terminal shows: every program's lines, each with the time and the program's name."""

import sys
import time

COLOURS = {
    "run": 37,
    "postgres": 34,
    "valkey": 32,
    "migrate": 90,
    "seed": 90,
    "web": 36,
    "worker": 33,
    "beat": 35,
    "relay": 31,
}
NAME_COLUMNS = max(map(len, COLOURS))


class TerminalGone(Exception):
    """Nobody reads our output any more."""


def say(name: str, text: str) -> None:
    """Print *text*, line by line, as the words of the program *name*.

    Raises:
        TerminalGone: The terminal was closed, or the pipe that reads us.
    """
    on, off = (f"\033[{COLOURS[name]}m", "\033[0m") if sys.stdout.isatty() else ("", "")
    clock = time.strftime("%H:%M:%S")
    try:
        for line in text.splitlines():
            sys.stdout.write(f"{on}{clock} {name:{NAME_COLUMNS}} |{off} {line}\n")
        sys.stdout.flush()
    except OSError as error:
        raise TerminalGone from error
