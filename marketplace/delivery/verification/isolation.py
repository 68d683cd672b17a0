"""Running checks in a process of their own, with a limit on everything they can take.

The child gets one JSON document, answers line by line, and is killed when its time is over. It has
no environment, no files of ours and little memory. Code of a delivery is never run here: that is
for the sandbox, which takes this module's place for checkers that do.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore

from django.conf import settings

from marketplace.foundation.transactions import Busy

ROOT = Path(__file__).resolve().parents[3]
MEMORY_BYTES = 512 * 2**20
# What checks may take together to fail an empty delivery; a poster waits for it.
PROOF_SECONDS = 3
PROOFS_AT_ONCE = 2  # in one process: more would hold the threads that others need
EMPTY: Mapping[str, object] = {"result": {}, "files": {}}

_proofs = BoundedSemaphore(PROOFS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of running a check: the verdict, why, and how long it took."""

    state: str
    detail: str
    duration_ms: int


def run_check(
    type: str,  # noqa: A002 - the contract's word
    config: Mapping[str, object],
    result: object,
    files: Mapping[str, str],
) -> Report:
    """Evaluate a check apart from this process, on the empty delivery and then on this one.

    Where the check ends on the empty delivery and not on this one, it is the delivery that passed a
    limit, and it has failed (rule 17). Where it does not even end on the empty one, nobody can say
    what is wrong: that is an error, which is never counted against the worker.
    """
    started = time.monotonic()
    check = {"type": type, "config": config}
    steps = [{**check, **EMPTY}, {**check, "result": result, "files": files}]
    answers = _evaluate(steps, seconds=settings.CHECK_WALL_SECONDS)
    elapsed_ms = round((time.monotonic() - started) * 1000)
    if len(answers) == len(steps):
        return Report(answers[1]["state"], answers[1]["detail"], elapsed_ms)
    if answers:
        detail = (
            f"On this delivery the check did not end within {settings.CHECK_WALL_SECONDS} seconds"
            " and its memory; on an empty one it did."
        )
        return Report("failed", detail, elapsed_ms)
    return Report("error", "The check does not end, whatever is delivered.", elapsed_ms)


def states_on_empty(checks: Sequence[Mapping[str, object]]) -> list[str] | None:
    """Return what each check says of the empty delivery; None where they do not end in time.

    Raises:
        Busy: As many proofs as may are running.
    """
    if not _proofs.acquire(blocking=False):
        raise Busy
    try:
        steps = [{"type": c["type"], "config": c["config"], **EMPTY} for c in checks]
        answers = _evaluate(steps, seconds=PROOF_SECONDS)
    finally:
        _proofs.release()
    return [answer["state"] for answer in answers] if len(answers) == len(steps) else None


def _evaluate(steps: list[dict[str, object]], *, seconds: int) -> list[dict[str, str]]:
    """Return the child's answers, as many as it gave before a limit ended it."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [
                *(sys.executable, "-I", "-c", _PROGRAM),
                *(str(ROOT), str(seconds), str(MEMORY_BYTES)),
            ],
            input=json.dumps(steps).encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
            env={},
            cwd="/",
        ).stdout
    except subprocess.TimeoutExpired as late:
        done = late.stdout or b""
    whole_lines = done.split(b"\n")[:-1]
    return [json.loads(line) for line in whole_lines]


# The interpreter is isolated (-I), so the checkout's place is handed over; Django is not loaded.
# The child limits itself before it reads a byte: limits set between fork and exec (preexec_fn) are
# not safe in a process with threads, and the web server has them.
_PROGRAM = """
import json, resource, sys
root, cpu, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for limit, most in (
    (resource.RLIMIT_CPU, cpu),
    (resource.RLIMIT_AS, memory),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NOFILE, 64),
):
    resource.setrlimit(limit, (most, most))
sys.path.insert(0, root)
from marketplace.delivery.verification.evaluation import limited
for step in json.load(sys.stdin):
    finding = limited(step["type"], step["config"], step["result"], step["files"])
    print(json.dumps({"state": finding.state, "detail": finding.detail}), flush=True)
"""
