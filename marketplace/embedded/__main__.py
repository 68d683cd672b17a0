"""`python -m marketplace.embedded`: run one instance here; `… reset`: remove its data."""

import argparse
import os
import sys

from django.conf import settings

from marketplace.embedded.data_folder import DataFolder, FolderInUse, NotADataFolder
from marketplace.embedded.supervisor import Supervisor


def main() -> int:
    """Do what the command line asks and return the status to exit with."""
    parser = argparse.ArgumentParser(prog="python -m marketplace.embedded", description=__doc__)
    parser.add_argument("verb", nargs="?", default="run", choices=["run", "reset"])
    verb = parser.parse_args().verb
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.settings")
    folder = DataFolder(settings.DATA_DIR)
    try:
        if verb == "reset":
            folder.remove()
            return 0
        with folder.held():
            return Supervisor(folder).run()
    except (FolderInUse, NotADataFolder) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
