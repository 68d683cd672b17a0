"""Playing a scenario: rounds in which everybody has a turn, and between which time passes."""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from marketplace.disputes.draw import seeds_from
from marketplace.foundation import clock
from marketplace.ops import books
from marketplace.participants.keys import random_seed
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.add_agent import add_agent
from marketplace.participants.usecases.register_participant import register_participant
from marketplace.simulation import jobs
from marketplace.simulation.figures import Figures, figures_of, total
from marketplace.simulation.members import Member, World
from marketplace.simulation.scenario import Expectation, Group, Scenario
from marketplace.standing import history
from marketplace.tasks.models import Task

Progress = Callable[[float, int, int], None]
"""Told the day, how many there are, and how many moves were made."""


class NotEmpty(Exception):
    """The database holds participants; nobody's clock is moved but a simulation's own."""

    def __init__(self) -> None:
        super().__init__(
            "this database is somebody's market: a simulation needs an empty one of its own"
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """An expectation, and what the figure came to."""

    expected: Expectation
    found: int

    @property
    def holds(self) -> bool:
        """Say whether it is as expected."""
        return self.expected.holds(self.found)


@dataclass(frozen=True, slots=True)
class Played:
    """How a simulated market ended.

    Attributes:
        operators: Figures by group and operator's handle.
        checked: The expectations; none where fewer days were played than the scenario has.
        findings: What the audit, standing's recount and the search for what is overdue found.
        moves: How often each move was made.
        refused: How often each was refused, by move and reason.
        seconds: How long the days took, without the sign-ups before and the audit after them.
    """

    scenario: Scenario
    seed: int
    days: int
    operators: Mapping[str, Mapping[str, Figures]]
    checked: tuple[Checked, ...]
    findings: tuple[str, ...]
    moves: Mapping[str, int]
    refused: Mapping[str, int]
    seconds: float

    @property
    def groups(self) -> dict[str, Figures]:
        """Return the sums of the groups."""
        return {name: total(members.values()) for name, members in self.operators.items()}

    @property
    def everybody(self) -> Figures:
        """Return the sum of all groups."""
        return total(self.groups.values())

    @property
    def is_right(self) -> bool:
        """Say whether nothing was found and everything is as expected."""
        return not self.findings and all(one.holds for one in self.checked)


def play(
    scenario: Scenario,
    *,
    seed: int | None = None,
    days: int | None = None,
    progress: Progress | None = None,
) -> Played:
    """Play a scenario on the empty database that Django is connected to, and audit it.

    The same seed comes to the same figures, whatever ids and secrets are drawn by others.

    Args:
        scenario: Who takes part.
        seed: Of everything that is drawn; None takes the scenario's.
        days: Of the market's time; None takes the scenario's.
        progress: Told how far it is.

    Raises:
        NotEmpty: Somebody's market is on this database. Nothing was done.
    """
    if Participant.objects.exists():
        raise NotEmpty
    seed = scenario.seed if seed is None else seed
    days = scenario.days if days is None else days
    with jobs.in_line(), seeds_from(_seeds(seed)):
        world, habits_of, granted = _begin(scenario, seed)
        began = time.monotonic()
        _play_rounds(scenario, days, world, habits_of, progress)
        seconds = time.monotonic() - began
        findings = _audit()
    found = figures_of({pk: amount for pk, (_, _, amount) in granted.items()}, at=clock.now())
    operators: dict[str, dict[str, Figures]] = {group.name: {} for group in scenario.groups}
    for pk, (group, handle, _) in granted.items():
        operators[group][handle] = found[pk]
    sums = {name: total(members.values()) for name, members in operators.items()}
    sums[""] = total(sums.values())
    expected = scenario.expectations if days >= scenario.days else ()
    return Played(
        scenario=scenario,
        seed=seed,
        days=days,
        operators=operators,
        checked=tuple(Checked(one, getattr(sums[one.group], one.figure)) for one in expected),
        findings=findings,
        moves=world.moves,
        refused=world.refused,
        seconds=seconds,
    )


def _seeds(seed: int) -> Callable[[], bytes]:
    """Return what draws the seeds of panels; apart from what habits draw, so neither bends both."""
    source = random.Random(f"panels {seed}")  # noqa: S311 - a simulation has to be the same again
    return lambda: sha256(source.randbytes(32)).digest()


def _begin(
    scenario: Scenario, seed: int
) -> tuple[World, list[tuple[Member, Group]], dict[uuid.UUID, tuple[str, str, int]]]:
    """Let everybody sign up at a midnight, so that days begin at the same time in every run."""
    now = clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    clock.advance(midnight - now)
    world = World(
        chance=random.Random(seed),  # noqa: S311 - a simulation has to be the same again
        began_at=clock.now(),
        now=clock.now(),
        round_days=scenario.step_hours / 24,
    )
    playing: list[tuple[Member, Group]] = []
    granted: dict[uuid.UUID, tuple[str, str, int]] = {}
    for group in scenario.groups:
        world.groups[group.name] = []
        for number in range(1, group.number + 1):
            registered = register_participant(
                handle=f"{group.name}-{number:03}",
                kind=Kind(group.kind),
                display_name=f"{group.name} {number}",
                address=group.address or None,
            )
            operator = registered.participant
            granted[operator.pk] = (group.name, operator.handle, registered.granted)
            if group.is_staff:
                operator.is_staff = True
                operator.save(update_fields=["is_staff"])
            for one in _agents(operator, group.agents) or [operator]:
                member = Member(one, group.name, world)
                world.groups[group.name].append(member)
                playing.append((member, group))
    return world, playing, granted


def _agents(operator: Participant, number: int) -> list[Participant]:
    return [
        add_agent(
            operator=operator,
            handle=f"{operator.handle}-agent-{one:02}",
            display_name=f"{operator.display_name}, agent {one}",
            key_seed=random_seed(),
        ).participant
        for one in range(1, number + 1)
    ]


def _play_rounds(
    scenario: Scenario,
    days: int,
    world: World,
    playing: list[tuple[Member, Group]],
    progress: Progress | None,
) -> None:
    step = timedelta(hours=scenario.step_hours)
    since = world.began_at
    for _ in range(days * 24 // scenario.step_hours):
        world.chance.shuffle(playing)
        for member, group in playing:
            for habit in group.habits:
                habit(member)
        jobs.hand_out_events()
        clock.advance(step)
        world.now = clock.now()
        jobs.run_due(world.began_at, since, world.now)
        jobs.hand_out_events()
        world.has_changed()
        since = world.now
        if progress is not None:
            progress(world.day, days, world.moves.total())
        if clock.stands_at() is not None:
            return  # an audit of the day found the books wrong and stopped money; so will the last


def _audit() -> tuple[str, ...]:
    """Return what is wrong with the books, with standing, and with what time should have done."""
    run = books.audit_books(is_full=True, asked_by="a simulation", may_stop=False).run
    found = [f"{one['invariant']}: {one['subject']}: {one['wrong']}" for one in run.findings]
    report = history.check()
    if not report.is_right:
        found.append(f"standing: {len(report.differences)} figures are not what history says")
    late = Task.objects.filter(due_at__lte=clock.now()).count()
    if late:
        found.append(f"overdue: the time of {late} tasks has passed, and nothing happened")
    return tuple(found)
