"""Starting programs so that none of them outlives the process that started them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LOG_LINES_SHOWN = 20
ON_LINUX = sys.platform == "linux"
# Loaded here and not between fork and exec, where nothing may be imported any more.
LIBC = ctypes.CDLL(None, use_errno=True)

PIPE = subprocess.PIPE
Process = subprocess.Popen[bytes]


class ServerFailed(Exception):
    """A program that was to serve did not start, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Account:
    """A system account by number; programs that refuse to run as root run as one."""

    uid: int
    gid: int


def start(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    output: int | IO[bytes] = subprocess.PIPE,
) -> Process:
    """Start a program in a session of its own, so that a terminal's Ctrl-C reaches only its parent.

    Args:
        command: The program and its arguments; never a shell's line.
        death_signal: What the program is sent when the calling process dies without a word.
            Call from the main thread: the kernel watches the thread, not the process.
        account: Who runs it, where that is somebody else.
        environment: Its whole environment; the caller's by default.
        folder: Where it runs.
        stdin: A descriptor or `subprocess.PIPE`.
        output: Where standard output and standard error go together.
    """
    return subprocess.Popen(  # noqa: S603 - our own programs, no shell
        [str(word) for word in command],
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        # Runs after the change of account, which would clear the signal.
        preexec_fn=_die_with(os.getpid(), death_signal),  # noqa: PLW1509 - calls nothing but prctl
    )


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None] | None:
    if not ON_LINUX:
        return None

    def ask_the_kernel() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask_the_kernel


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that all can be found."""
    if ON_LINUX:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """Return the process ids of the caller's living and unreaped children, where Linux tells."""
    found: list[int] = []
    for listing in Path("/proc/self/task").glob("*/children"):
        found += [int(word) for word in listing.read_text().split()]
    return found


def running_in(folder: Path) -> list[int]:
    """Return the ids of the processes that work in *folder* itself, where Linux tells."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # A zombie has no folder any more; those of other accounts are not ours to see.
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder.resolve():
                found.append(int(process.name))
    return found


def stop(
    process: Process, *, steps: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5),)
) -> None:
    """Send each signal and wait its seconds for the end; then kill what is left of the group."""
    for step, seconds in steps:
        if process.poll() is None:
            process.send_signal(step)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
    kill_group(process)


def kill_group(process: Process) -> None:
    """Kill the program and whatever it left behind in its process group, and reap it."""
    # Where nobody is left, Linux says ProcessLookupError and macOS PermissionError.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def failed(what: str, log: Path) -> ServerFailed:
    """Return the error that says *what* failed, with the end of the log that tells why."""
    last_lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    return ServerFailed("\n".join([f"{what}; the end of {log}:", *last_lines]))
