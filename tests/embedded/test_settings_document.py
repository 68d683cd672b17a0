import os
import subprocess
import sys

from tests.embedded.instances import ROOT


def test_the_settings_document_is_up_to_date() -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "document_settings", "--check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HANSA_SECRET_KEY": "of-no-instance"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
