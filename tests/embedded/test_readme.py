"""The README's five minutes, run as a reader would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded.instances import ROOT, a_free_port, an_instance, environment

pytestmark = pytest.mark.embedded

BETWEEN_MARKS = re.compile(
    r"<!-- five-minutes: tests.*?-->(.*)<!-- five-minutes: end -->", re.DOTALL
)
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def run(command: list[str], port: int, data: Path) -> subprocess.CompletedProcess[str]:
    api = {"API": f"http://127.0.0.1:{port}/api/v1", "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(data, port) | api,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_five_minutes_and_the_demo_end_in_balanced_books(place: Path) -> None:
    found = BETWEEN_MARKS.search((ROOT / "README.md").read_text())
    assert found is not None
    script = "set -euo pipefail\n" + "\n".join(BLOCK.findall(found[1]))
    data, port = place / "data", a_free_port()
    manage = [sys.executable, "manage.py"]

    with an_instance(data, port) as instance:
        instance.wait_until_ready()
        five_minutes = run(["bash", "-c", script], port, data)
        first = run([*manage, "demo"], port, data)
        second = run([*manage, "demo"], port, data)
        audit = run([*manage, "audit", "--json"], port, data)

    assert five_minutes.returncode == 0, five_minutes.stdout + five_minutes.stderr
    assert "{'shape': 'passed', 'answer': 'passed'}" in five_minutes.stdout
    assert '"available":"104.75"' in five_minutes.stdout
    assert first.returncode == 0, first.stdout + first.stderr
    assert "The books are balanced" in first.stdout
    assert second.returncode == 0, second.stdout + second.stderr
    assert '"balanced": true' in audit.stdout
