"""Dividing an escrow: whatever the figures, nothing is made and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from marketplace.tasks.division import (
    BASIS_POINTS,
    divide_accepted,
    divide_unaccepted,
    share_down,
    share_up,
)

HELD = st.integers(1, 10**18)
BPS = st.integers(0, BASIS_POINTS - 1)


@given(HELD, BPS, st.data())
def test_an_accepted_task_pays_exactly_what_it_held(
    held: int, fee_bps: int, data: st.DataObject
) -> None:
    royalties = data.draw(st.integers(0, held))

    parts = divide_accepted(held, royalties=royalties, fee_bps=fee_bps)

    assert parts.wages + parts.fee + parts.royalties == held
    assert parts.royalties == royalties
    # The fee is rounded up, by less than a micro-credit.
    assert 0 <= parts.fee * BASIS_POINTS - (held - royalties) * fee_bps < BASIS_POINTS


@given(HELD, st.integers(0, BASIS_POINTS))
def test_a_task_without_acceptance_returns_exactly_what_it_held(held: int, bps: int) -> None:
    parts = divide_unaccepted(held, compensation_bps=bps)

    assert parts.compensation + parts.refund == held
    assert parts.compensation == held * bps // BASIS_POINTS


@given(st.integers(0, 10**18), st.integers(0, BASIS_POINTS))
def test_rounding_up_and_down_differ_by_at_most_one(amount: int, bps: int) -> None:
    assert 0 <= share_up(amount, bps) - share_down(amount, bps) <= 1
