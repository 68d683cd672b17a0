"""The process of a check takes no more than it may."""

import json
import subprocess
import sys

import pytest

from marketplace.delivery.verification import isolation
from tests.builders.work import ANSWER, an_exact_check


def test_a_verdict_comes_back_with_its_reason_and_its_time() -> None:
    config = an_exact_check()["config"]

    report = isolation.run_check("exact", config, ANSWER, {})  # type: ignore[arg-type]

    assert (report.state, report.detail) == ("passed", "The answer is the expected one.")
    assert report.duration_ms > 0


def limited(program: str) -> "subprocess.CompletedProcess[str]":
    """Run *program* under the limits that a check has."""
    limits = isolation._PROGRAM.partition("sys.path.insert")[0]  # noqa: SLF001 - what is tested
    return subprocess.run(
        [sys.executable, "-I", "-c", limits + program, "/", "1", str(isolation.MEMORY_BYTES)],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("program", "refusal"),
    [
        ("import os; os.write(os.open('written', os.O_CREAT | os.O_WRONLY), b'x')", ""),
        ("x = bytearray(2**30)", "MemoryError"),
        ("import os; os.dup2(0, 200)", "Bad file descriptor"),
        ("while True: pass", ""),
    ],
    ids=["writing", "memory", "descriptors", "time"],
)
def test_the_process_has_little_of_everything(
    program: str, refusal: str, tmp_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = limited(program)

    assert ended.returncode != 0
    assert refusal in ended.stderr


def test_the_process_has_no_environment_of_ours() -> None:
    ended = limited("import json, os; print(json.dumps(dict(os.environ)))")

    assert set(json.loads(ended.stdout)) <= {"LC_CTYPE"}
