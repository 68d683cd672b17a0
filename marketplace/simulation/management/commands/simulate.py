"""`manage.py simulate`: days of market time in seconds, on a market of the simulation's own."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketplace.embedded.data_folder import FolderInUse
from marketplace.embedded.processes import ServerFailed
from marketplace.simulation import arguments
from marketplace.simulation.instance import FolderNotEmpty, play_apart
from marketplace.simulation.reading import InvalidScenario
from marketplace.simulation.scenario import find, known


class Command(BaseCommand):
    """Plays a scenario and ends non-zero when the books, or what was expected, are not right."""

    help = (
        "Play a scenario: who takes part, with which habits. It ends with an audit and a table of"
        " who gained what. It has a database of its own and never reaches the market that runs."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_playing(parser, needed=False)
        parser.add_argument("--list", action="store_true", help="name the scenarios there are")
        parser.add_argument(
            "--keep",
            metavar="FOLDER",
            type=Path,
            help="leave the simulated market in a new folder, for HANSA_DATA=FOLDER make run",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["list"] or options["scenario"] is None:
            self._list()
            return
        try:
            scenario = find(options["scenario"])
            if options["scenario"] not in known():
                options["scenario"] = str(Path(options["scenario"]).resolve())
            status = play_apart(arguments.words_of(options), keep=options["keep"])
        except (InvalidScenario, FolderNotEmpty, FolderInUse, ServerFailed) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped; nothing was checked", returncode=130) from None
        if options["keep"] is not None:
            self.stderr.write(
                f"kept: HANSA_DATA={options['keep'].resolve()} HANSA_SEED_DEMO=off make run"
            )
        if status:
            self.stderr.write(self.style.ERROR(f"{scenario.name}: not as it should be"))
            sys.exit(status)

    def _list(self) -> None:
        names = known()
        width = max(map(len, names))
        for name in names:
            scenario = find(name)
            self.stdout.write(f"{name:<{width}}  {scenario.days:>3} days  {scenario.title}")
