"""Every verb in every state, through the use cases: what the table forbids changes nothing."""

from functools import partial

import pytest

from marketplace.delivery.models import Delivery
from marketplace.tasks.permissions import OwnTask
from marketplace.tasks.states import TRANSITIONS, IllegalTransition, NotPermitted, TaskState
from tests.builders.assets import a_skill
from tests.builders.work import again, held
from tests.tasks.situations import MOVES, SITUATIONS, a_cast, use_for

pytestmark = pytest.mark.django_db

STATES = ("open", "offered", "claimed", "submitted", "accepted", "cancelled", "expired")
# By the API's name for the move: who makes it, and the verbs it may be in the table.
MAKERS = {
    "claim": ("eve", {"claim"}),
    "edit": ("ada", {"edit"}),
    "raise": ("ada", {"raise"}),
    "cancel": ("ada", {"cancel", "give_notice"}),
    "cancel_at_once": ("ada", {"cancel_at_once"}),
    "heartbeat": ("bo", {"heartbeat"}),
    "abandon": ("bo", {"abandon"}),
    "submit": ("bo", {"submit"}),
    "accept": ("ada", {"accept"}),
    "reject": ("ada", {"reject"}),
}


@pytest.mark.parametrize("state", STATES)
def test_a_verb_works_where_the_table_has_it_and_nowhere_else(state: str) -> None:
    for name, (maker, verbs) in MAKERS.items():
        cast = a_cast()
        task = SITUATIONS[state](cast)
        before = again(task)
        targets = {row.target for row in TRANSITIONS if row.source == state and row.verb in verbs}
        # In `offered` the claim is of whom it is offered to.
        who = "bo" if (state, name) == ("offered", "claim") else maker
        move = partial(MOVES[name], task, cast.everybody()[who])

        if targets:
            move()
            assert again(task).state in targets, name
        else:
            # Who lost the task, or never had it, has no move at all; there may be no delivery.
            with pytest.raises((IllegalTransition, NotPermitted, Delivery.DoesNotExist)):
                move()
            assert vars_of(again(task)) == vars_of(before), name


def vars_of(task: object) -> dict[str, object]:
    return {name: value for name, value in vars(task).items() if not name.startswith("_")}


@pytest.mark.parametrize("state", STATES)
def test_an_asset_is_used_for_a_task_only_while_one_holds_it(state: str) -> None:
    cast, skill = a_cast(), a_skill(price=0)
    task = SITUATIONS[state](cast)
    use = partial(use_for, task, owner=skill.asset.owner.get_username(), name=skill.asset.name)

    if state == TaskState.CLAIMED:
        use(actor=cast.bo)
    else:
        with pytest.raises((IllegalTransition, NotPermitted)):
            use(actor=cast.bo)
    with pytest.raises(NotPermitted if state == TaskState.CLAIMED else IllegalTransition):
        use(actor=cast.eve)


@pytest.mark.parametrize("verb", ["edit", "cancel", "heartbeat", "abandon", "submit"])
def test_a_strangers_verbs_are_refused_and_change_nothing(verb: str) -> None:
    cast = a_cast()
    for state in ("open", "claimed", "submitted"):
        task = SITUATIONS[state](cast)
        with pytest.raises((NotPermitted, IllegalTransition)):
            MOVES[verb](task, cast.eve)
        assert again(task).state == state
        assert held(task) == task.bounty


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_a_delivery_does_not_exist_for_a_stranger(verb: str) -> None:
    cast = a_cast()
    task = SITUATIONS["submitted"](cast)

    with pytest.raises(Delivery.DoesNotExist):
        MOVES[verb](task, cast.eve)


def test_nobody_takes_work_of_their_own_operator() -> None:
    cast = a_cast()
    task = SITUATIONS["open"](cast)

    for own in (cast.ada, cast.cy):
        with pytest.raises(OwnTask):
            MOVES["claim"](task, own)


def test_an_operator_does_not_act_in_its_agents_place() -> None:
    cast = a_cast()
    task = SITUATIONS["open"](cast)

    for verb in ("edit", "cancel"):
        with pytest.raises(NotPermitted):
            MOVES[verb](task, cast.cy)
