"""The table of a task's states: every verb in every state, the forbidden half too."""

from itertools import product

import pytest

from marketplace.tasks.states import (
    TRANSITIONS,
    IllegalTransition,
    NotPermitted,
    Role,
    TaskState,
    next_state,
    verbs_of,
)

VERBS = sorted({row.verb for row in TRANSITIONS})


@pytest.mark.parametrize("role", Role)
def test_a_verb_works_exactly_where_the_table_has_it(role: Role) -> None:
    for verb, state in product(VERBS, TaskState):
        here = [one for one in TRANSITIONS if (one.verb, one.source) == (verb, state)]
        rows = [one for one in here if one.role == role]
        of_role_elsewhere = any(one.verb == verb and one.role == role for one in TRANSITIONS)

        if rows:
            assert next_state(state, verb, frozenset({role})) == rows[0].target
        else:
            is_others = here and not of_role_elsewhere
            with pytest.raises(NotPermitted if is_others else IllegalTransition):
                next_state(state, verb, frozenset({role}))


def test_who_holds_no_role_may_do_nothing() -> None:
    for verb, state in product(VERBS, TaskState):
        here = [one for one in TRANSITIONS if (one.verb, one.source) == (verb, state)]
        with pytest.raises(NotPermitted if here else IllegalTransition):
            next_state(state, verb, frozenset())


def test_verbs_of_a_state_are_those_that_work_in_it() -> None:
    for state, role in product(TaskState, Role):
        roles = frozenset({role})
        working = set()
        for verb in VERBS:
            try:
                next_state(state, verb, roles)
            except (IllegalTransition, NotPermitted):
                continue
            working.add(verb)
        assert verbs_of(state, roles) == working
