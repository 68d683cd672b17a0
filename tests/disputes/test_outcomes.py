"""What votes and checks come to, whatever they are."""

import statistics
import uuid

from hypothesis import given
from hypothesis import strategies as st

from marketplace.delivery.models import CheckRun, Verdict
from marketplace.disputes.models import Outcome, outcome_of
from marketplace.disputes.outcomes import default_share, median, most_picked
from marketplace.tasks.division import BASIS_POINTS

SHARES = st.integers(0, BASIS_POINTS)


@given(st.tuples(SHARES, SHARES, SHARES))
def test_the_median_is_a_vote_that_somebody_cast_in_the_middle(votes: tuple[int, int, int]) -> None:
    assert median(votes) == statistics.median(votes)
    assert median(votes) in votes
    assert min(votes) <= median(votes) <= max(votes)


@given(SHARES, SHARES, SHARES)
def test_no_single_vote_carries_the_outcome_past_the_other_two(
    one: int, other: int, third: int
) -> None:
    assert min(one, other) <= median((one, other, third)) <= max(one, other)


@given(SHARES, SHARES)
def test_two_who_agree_decide(agreed: int, third: int) -> None:
    assert median((agreed, third, agreed)) == agreed


@given(st.lists(st.uuids(), min_size=1, max_size=6, unique=True), st.data())
def test_most_votes_win_and_the_earliest_on_a_tie(
    entries: list[uuid.UUID], data: st.DataObject
) -> None:
    picks = data.draw(st.lists(st.sampled_from(entries), max_size=3))

    picked = most_picked(picks, entries)

    if not picks:
        assert picked is None
        return
    assert picked in picks
    for entry in entries:
        assert picks.count(entry) <= picks.count(picked)
        if picks.count(entry) == picks.count(picked):
            assert entries.index(entry) >= entries.index(picked)


@given(SHARES)
def test_a_share_has_one_name(share: int) -> None:
    names = {0: Outcome.REJECT, BASIS_POINTS: Outcome.ACCEPT}

    assert outcome_of(share) == names.get(share, Outcome.SPLIT)


def a_run(type: str, state: Verdict) -> CheckRun:  # noqa: A002 - the field's name
    return CheckRun(type=type, state=state)


EXACT = st.builds(lambda state: a_run("exact", state), st.sampled_from(Verdict))
OTHERS = st.builds(
    a_run,
    st.sampled_from(["json_schema", "http", "llm", "peer_review"]),
    st.sampled_from(Verdict),
)


@given(st.lists(st.one_of(EXACT, OTHERS), max_size=6))
def test_the_default_follows_what_was_proven_and_nothing_else(runs: list[CheckRun]) -> None:
    proven = [run.state for run in runs if run.type == "exact"]

    share = default_share(runs)

    assert share == default_share([run for run in runs if run.type == "exact"])
    if Verdict.FAILED in proven:
        assert share == 0
    elif proven and set(proven) == {Verdict.PASSED}:
        assert share == BASIS_POINTS
    else:
        assert share == BASIS_POINTS // 2
