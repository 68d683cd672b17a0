"""Who takes part in a simulated market, and how they make their moves."""

import random
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from marketplace.api.problems import BY_ERROR
from marketplace.participants.models import Participant
from marketplace.tasks.models import Task
from marketplace.tasks.states import ENDED

T = TypeVar("T")

# What the rules answer to somebody whose move is not possible. Anything else is a bug and ends the
# simulation; so does input that is malformed, for habits write their own.
REFUSING = (402, 403, 404, 409, 429)
REFUSALS = tuple(error for error, problem in BY_ERROR.items() if problem.status in REFUSING)

UNREAD = ("description", "verification", "search", "dispute_terms")


def code_of(error: Exception) -> str:
    """Return the stable name of a refusal, as the API says it."""
    return next(BY_ERROR[one].code for one in type(error).__mro__ if one in BY_ERROR)


@dataclass
class World:
    """What all members share.

    Attributes:
        chance: The one source of everything that is drawn; seeded.
        began_at: The market's time when the simulation began.
        now: The market's time at the beginning of the round.
        round_days: How much market time passes between two rounds, in days.
        moves: How often each move was made, by name.
        refused: How often each was refused, by name and why.
    """

    chance: random.Random
    began_at: datetime
    now: datetime
    round_days: float
    groups: dict[str, list["Member"]] = field(default_factory=dict)
    moves: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _live: list[Task] | None = None

    @property
    def day(self) -> float:
        """Return how many days have passed since the beginning."""
        return (self.now - self.began_at).total_seconds() / 86_400

    @property
    def live(self) -> list[Task]:
        """Return the tasks that have not ended, by title; read again once somebody made a move.

        Their longest columns are left out. Round trips: one, or none.
        """
        if self._live is None:
            found = Task.objects.exclude(state__in=ENDED).select_related("claim")
            self._live = sorted(found.defer(*UNREAD), key=lambda task: task.title)
        return self._live

    def has_changed(self) -> None:
        """Forget what was read: somebody made a move, or time has passed."""
        self._live = None

    def ids_of(self, group: str) -> Collection[uuid.UUID]:
        """Return the participants of a group; of all of them for an empty name."""
        groups = [self.groups[group]] if group else list(self.groups.values())
        return {member.participant.pk for members in groups for member in members}

    def happens(self, chance: float) -> bool:
        """Draw whether something with this chance happens."""
        return self.chance.random() < chance

    def times(self, per_day: float) -> int:
        """Draw how often something happens in this round that does so *per_day* times a day."""
        whole, rest = divmod(per_day * self.round_days, 1)
        return int(whole) + self.happens(rest)


@dataclass
class Member:
    """One participant with its habits' memory.

    Attributes:
        notes: What a habit remembers from one round to the next.
    """

    participant: Participant
    group: str
    world: World
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """Return the public name."""
        return self.participant.handle

    def attempt(self, use_case: Callable[..., T], **says: object) -> T | None:
        """Do something as this participant; None where the rules refuse it. Both are counted."""
        name = use_case.__name__
        self.world.has_changed()  # a refusal may have let the clock have its way first
        try:
            done = use_case(actor=self.participant, **says)
        except REFUSALS as error:
            self.world.refused[f"{name}: {code_of(error)}"] += 1
            return None
        self.world.moves[name] += 1
        return done


Habit = Callable[[Member], None]
"""What a member does when its turn comes, with the parameters that its scenario gave it."""
