"""docs/prove-a-line.md does what it says."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from credits.seals import list_seals
from tests.builders.people import a_person, with_key
from tests.credits.books import seal_everything

# The live server lives with the browser tests, and so with the event loop of playwright.
pytestmark = [pytest.mark.browser, pytest.mark.django_db]

DOCUMENT = settings.BASE_DIR / "docs" / "prove-a-line.md"
BLOCKS = re.findall(r"^```bash\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_whoever_pastes_the_document_has_proven_a_line(
    live_server: LiveServer, tmp_path: Path
) -> None:
    keyed = with_key()
    seal_everything()
    a_person()
    seal_everything()
    (noted,) = list_seals(limit=1, newest_first=True)
    environment = os.environ | {
        "SITE": str(live_server.url),
        "KEY": keyed.key,
        "NOTED": f"{noted.number}:{noted.hash}",
    }

    said = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(BLOCKS)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert len(BLOCKS) == 2
    assert said.returncode == 0, said.stderr
    alone, compared = said.stdout.split("RIGHT")[1:]
    assert "Compare that hash with one that you trust" in alone
    assert f"The hash of block {noted.number}, which you trust, vouches for it." in compared
