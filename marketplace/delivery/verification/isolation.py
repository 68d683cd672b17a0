"""Running a check in a process of its own, with a limit on everything it can take.

The child gets one JSON document, answers with one, and is killed when its time is over. It has no
environment, no files of ours and little memory. Code of a delivery is never run here: that is the
sandbox's, which takes this module's place for checkers that do.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).resolve().parents[3]
MEMORY_BYTES = 512 * 2**20
ANSWER_BYTES = 2**16


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
    """Evaluate a check apart from this process.

    A check that passes its limits, or whose process dies, ends as `error`: nobody can say whether
    the schema or the delivery is at fault, and an error is never counted against the worker.
    """
    request = json.dumps({"type": type, "config": config, "result": result, "files": files})
    started = time.monotonic()
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            [
                *(sys.executable, "-I", "-c", _PROGRAM),
                *(str(ROOT), str(settings.CHECK_WALL_SECONDS), str(MEMORY_BYTES)),
            ],
            input=request.encode(),
            capture_output=True,
            timeout=settings.CHECK_WALL_SECONDS,
            check=False,
            env={},
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        detail = f"The check did not end within {settings.CHECK_WALL_SECONDS} seconds."
        return Report("error", detail, _elapsed(started))
    try:
        answer = json.loads(child.stdout[:ANSWER_BYTES])
        return Report(str(answer["state"]), str(answer["detail"])[:4000], _elapsed(started))
    except (ValueError, KeyError, TypeError):
        detail = f"The check ended without a verdict (exit status {child.returncode})."
        return Report("error", detail, _elapsed(started))


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
from marketplace.delivery.verification.evaluation import evaluate
request = json.load(sys.stdin)
finding = evaluate(request["type"], request["config"], request["result"], request["files"])
json.dump({"state": finding.state, "detail": finding.detail}, sys.stdout)
"""


def _elapsed(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
