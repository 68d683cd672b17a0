"""Uses: paid at once, or bound to a claim and paid out of what it earns.

Bound uses belong to a claim of somebody else's; the caller (the market's task) holds the task's
lock and says what the claim allows.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Sum

from assets.models import Version
from credits import ledger
from marketplace.foundation.batching import write
from marketplace.participants import allowances
from marketplace.participants.models import Participant
from marketplace.reuse import earnings
from marketplace.reuse.models import Earning, Use, UseState
from marketplace.reuse.prices import Cost, cost_for

# A settlement is one posting; its legs beyond the payees (escrow, worker, fee, poster and what
# later rules add) stay well below the rest of credits.ledger.MAX_LEGS.
PAYEES_PER_CLAIM = 400
MOST_RELEASED_UNPAID = 3


class MaxChargeRequired(Exception):
    """A priced version needs the user's word on what it may cost.

    Attributes:
        price: What it costs now, in micro-credits.
    """

    def __init__(self, *, price: int) -> None:
        super().__init__(f"using this costs {price} micro-credits: consent to a max_charge")
        self.price = price


class PriceChanged(Exception):
    """The version costs more than its user consented to.

    Attributes:
        price: What it costs now, in micro-credits.
        max_charge: What was consented to.
    """

    def __init__(self, *, price: int, max_charge: int) -> None:
        super().__init__(f"using this costs {price} micro-credits, more than {max_charge}")
        self.price = price
        self.max_charge = max_charge


class ReleasedUsesUnpaid(Exception):
    """The operator's claims ended too often with uses that nobody was paid for (rule 21).

    Attributes:
        released: How many such uses there are.
    """

    def __init__(self, *, released: int) -> None:
        super().__init__(f"{released} uses of yours were released unpaid")
        self.released = released


class ReuseCapExceeded(Exception):
    """A claim cannot owe more for reuse than its task's terms allow (rule 21).

    Attributes:
        cap: What the claim may owe, in micro-credits.
        bound: What it owes already.
        required: What this use would add.
    """

    def __init__(self, *, cap: int, bound: int, required: int) -> None:
        super().__init__(f"reuse of {bound} + {required} micro-credits passes the cap of {cap}")
        self.cap = cap
        self.bound = bound
        self.required = required


@dataclass(frozen=True, slots=True)
class Used:
    """What came of a use: its row, micro-credits charged now and owed later, and if it is new."""

    use: Use
    charged: int
    owed: int
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """What a claim allows: its id, the task's public id, and its reuse cap in micro-credits."""

    id: uuid.UUID
    task: str
    cap: int


def _consented(cost: Cost, max_charge: int | None) -> None:
    if cost.due and max_charge is None:
        raise MaxChargeRequired(price=cost.due)
    if max_charge is not None and cost.due > max_charge:
        raise PriceChanged(price=cost.due, max_charge=max_charge)


def _existing(operator: uuid.UUID, version: Version, occasion: str) -> Use | None:
    return (
        Use.objects.filter(operator_id=operator, version=version, occasion=occasion)
        .exclude(state=UseState.RELEASED)
        .first()
    )


def paid_before(operator: uuid.UUID, version: Version, occasion: str) -> int:
    """Return what uses of the same asset cost an operator on an occasion, in micro-credits.

    An asset is paid once for an occasion (rule 23). A dearer version of it costs the difference;
    otherwise a cheap version, or a free one, would open the dear one.
    """
    earlier = Use.objects.filter(
        operator_id=operator,
        asset_id=version.asset_id,
        occasion=occasion,
        state__in=[UseState.PAID, UseState.BOUND],
    )
    return int(earlier.aggregate(total=Sum("amount"))["total"] or 0)


def _create(
    actor: Participant,
    version: Version,
    occasion: str,
    cost: Cost,
    *,
    state: UseState,
    claim: uuid.UUID | None,
) -> tuple[Use, list[Earning]]:
    use = Use.objects.create(
        version=version,
        asset_id=version.asset_id,
        participant=actor,
        operator_id=actor.operator_key,
        occasion=occasion,
        claim=claim,
        amount=cost.due,
        state=state if cost.due else UseState.FREE,
    )
    owed = Earning.objects.bulk_create(
        [
            Earning(
                use=use,
                version_id=royalty.version_id,
                author=royalty.author,
                amount=royalty.amount,
                bearer_id=actor.operator_key,
            )
            for royalty in cost.royalties
        ]
    )
    return use, owed


def use_at_once(
    *, actor: Participant, version: Version, max_charge: int | None, at: datetime
) -> Used:
    """Use a version and pay its price from the actor's wallet, once a day for each asset.

    Args:
        actor: Who uses it; its operator pays.
        version: What is used.
        max_charge: The most that the actor consents to, in micro-credits.
        at: The market's time.

    Raises:
        MaxChargeRequired: It costs something and no consent was given.
        PriceChanged: It costs more than was consented to.
        AllowanceExceeded: The actor's operator does not let it spend that much.
        InsufficientCredits: The wallet holds too little.

    Transaction: the caller's. Locks: the operator, the allowance, then accounts.
    """
    Participant.objects.lock_operators([actor.operator_key])
    day = at.date().isoformat()
    earlier = _existing(actor.operator_key, version, day)
    if earlier is not None:
        return Used(earlier, charged=0, owed=0, is_new=False)
    paid = paid_before(actor.operator_key, version, day)
    cost = cost_for(actor.operator_key, version, paid=paid)
    _consented(cost, max_charge)
    allowances.spend(actor, cost.due)
    use, owed = _create(actor, version, day, cost, state=UseState.PAID, claim=None)
    if cost.due:
        ledger.post(
            reference=f"use:{use.public_id}",
            kind="reuse",
            legs=[
                ledger.Leg(ledger.AccountId(actor.wallet_account), -cost.due),
                *payee_legs(owed),
            ],
            memo=f"Use of {version}",
            subject=use.public_id,
        )
        earnings.mark_earned(owed, at=at)
    return Used(use, charged=cost.due, owed=0)


def bind(
    *, actor: Participant, version: Version, claim: ClaimTerms, max_charge: int | None
) -> Used:
    """Use a version for a claim: nothing is charged now, it is owed out of what the claim earns.

    Args:
        actor: Who holds the claim.
        version: What is used.
        claim: The claim and its cap.
        max_charge: The most that the actor consents to, in micro-credits.

    Raises:
        MaxChargeRequired: It costs something and no consent was given.
        PriceChanged: It costs more than was consented to.
        ReuseCapExceeded: The claim would owe more than its terms allow.
        ReleasedUsesUnpaid: The operator left too many uses unpaid.

    Transaction: the caller's, which holds the locks of the operator and of the task.
    """
    earlier = _existing(actor.operator_key, version, claim.task)
    if earlier is not None:
        return Used(earlier, charged=0, owed=0, is_new=False)
    paid = paid_before(actor.operator_key, version, claim.task)
    cost = cost_for(actor.operator_key, version, paid=paid)
    _consented(cost, max_charge)
    if cost.due:
        _require_no_debt(actor.operator_key)
        _require_room(claim, cost)
    use, _ = _create(actor, version, claim.task, cost, state=UseState.BOUND, claim=claim.id)
    return Used(use, charged=0, owed=cost.due)


def _require_no_debt(operator: uuid.UUID) -> None:
    """Check that an operator has not left too many uses unpaid (rule 21).

    A use that was released unpaid, and whose asset the operator has paid for since, is forgiven.
    """
    unpaid = Use.objects.filter(operator_id=operator, state=UseState.RELEASED, amount__gt=0)
    paid_since = Use.objects.filter(
        operator_id=operator,
        asset=OuterRef("asset"),
        state=UseState.PAID,
        created_at__gt=OuterRef("created_at"),
    )
    released = unpaid.filter(~Exists(paid_since)).count()
    if released >= MOST_RELEASED_UNPAID:
        raise ReleasedUsesUnpaid(released=released)


def _require_room(claim: ClaimTerms, cost: Cost) -> None:
    bound = bound_amount(claim.id)
    if bound + cost.due > claim.cap:
        raise ReuseCapExceeded(cap=claim.cap, bound=bound, required=cost.due)
    payees = set(
        Earning.objects.filter(use__claim=claim.id, use__state=UseState.BOUND).values_list(
            "author_id", flat=True
        )
    )
    payees.update(royalty.author.pk for royalty in cost.royalties)
    if len(payees) > PAYEES_PER_CLAIM:
        raise ReuseCapExceeded(cap=claim.cap, bound=bound, required=cost.due)


def bound_amount(claim: uuid.UUID) -> int:
    """Return what a claim owes for reuse, in micro-credits. Round trips: one."""
    bound = Use.objects.filter(claim=claim, state=UseState.BOUND)
    return int(bound.aggregate(total=Sum("amount"))["total"] or 0)


def owed_by(claim: uuid.UUID) -> list[Earning]:
    """Return every part that a claim's bound uses owe. Round trips: one."""
    return _parts(claim, UseState.BOUND)


def owed_by_each(claims: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Earning]]:
    """Return what `owed_by` returns, for many claims. Round trips: two."""
    owed: dict[uuid.UUID, list[Earning]] = {claim: [] for claim in claims}
    bound = Use.objects.filter(claim__in=claims, state=UseState.BOUND)
    claim_of = {use: claim for use, claim in bound.values_list("pk", "claim") if claim is not None}
    if claim_of:
        parts = Earning.objects.filter(use__in=claim_of).order_by("pk")
        for earning in parts.select_related("author__operator", "version__asset__owner"):
            owed[claim_of[earning.use_id]].append(earning)
    return owed


def paid_by(claim: uuid.UUID) -> list[Earning]:
    """Return every part that a claim's uses were paid. Round trips: one."""
    return _parts(claim, UseState.PAID)


def _parts(claim: uuid.UUID, state: UseState) -> list[Earning]:
    return list(
        Earning.objects.filter(use__claim=claim, use__state=state)
        .select_related("author__operator", "version__asset__owner")
        .order_by("pk")
    )


def payee_legs(owed: list[Earning]) -> list[ledger.Leg]:
    """Return one credit for each account that *owed* pays."""
    sums: dict[ledger.AccountId, int] = {}
    for earning in owed:
        account = earnings.payee(earning.author)
        sums[account] = sums.get(account, 0) + earning.amount
    return [ledger.Leg(account, amount) for account, amount in sums.items()]


def pay_bound(claim: uuid.UUID, owed: list[Earning], *, at: datetime) -> None:
    """Mark a claim's bound uses as paid; the settlement's posting has moved the credits."""
    if owed:
        Use.objects.filter(claim=claim, state=UseState.BOUND).update(state=UseState.PAID)
        earnings.mark_earned(owed, at=at)


def reduce_owed(claim: uuid.UUID, owed: list[Earning], *, to: int) -> list[Earning]:
    """Lower what a claim's bound uses owe to *to*, each part in proportion, and return the parts.

    Where a dispute gives the worker too little to pay for all of it (rule 20). A part that comes to
    nothing is owed no more, and a use without parts is released.

    Args:
        claim: Whose uses they are.
        owed: Every part, as `owed_by` returned them.
        to: What is paid of them together, in micro-credits; at most their sum.
    """
    total = sum(earning.amount for earning in owed)
    assert to <= total, "a dispute raises nothing"
    if to == total:
        return owed
    before = 0
    for earning in owed:
        # Rounding sums, and not parts, leaves nothing over.
        after = before + earning.amount
        earning.amount = to * after // total - to * before // total
        before = after
    left = [earning for earning in owed if earning.amount]
    Earning.objects.filter(pk__in=[one.pk for one in owed if not one.amount]).delete()
    Earning.objects.bulk_update(left, ["amount"])
    paid: dict[uuid.UUID, int] = {}
    for earning in left:
        paid[earning.use_id] = paid.get(earning.use_id, 0) + earning.amount
    bound = list(Use.objects.filter(claim=claim, state=UseState.BOUND))
    for use in bound:
        use.amount = paid.get(use.pk, 0)
        use.state = UseState.BOUND if use.amount else UseState.RELEASED
    Use.objects.bulk_update(bound, ["amount", "state"])
    return left


def release_bound(claim: uuid.UUID) -> None:
    """Release a claim's uses unpaid: the claim ended without being accepted (rule 21).

    The free ones too: they may have been free because of one that is released with them.
    """
    write(_release, claim)


def _release(claims: Sequence[uuid.UUID]) -> None:
    Use.objects.filter(claim__in=claims, state__in=[UseState.BOUND, UseState.FREE]).update(
        state=UseState.RELEASED
    )
