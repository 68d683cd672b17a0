import subprocess
import sys

import pytest

from tests.credits.crash import ROOT

KILLS = 20
SECONDS = 300


@pytest.mark.embedded
def test_what_was_answered_survives_kills_of_the_server_and_of_posting_processes() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.credits.crash", "--kills", str(KILLS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    # The output begins with the seed.
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("killed") == KILLS
