"""What the ledger promises, in plain Python: every result and every refusal of every call.

The model shares nothing with `credits` but the types of its errors and its limits; it has no
database, no locks and one thread. Where several things are wrong with a call, each of them is a
right answer, except that what can be seen in the request comes before the reference, and the
reference before what the accounts hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import singledispatchmethod
from uuid import UUID

from credits.amounts import MAX_AMOUNT
from credits.errors import (
    AccountClosed,
    AccountNotEmpty,
    AccountStaysOpen,
    AlreadyReversed,
    BalanceTooLarge,
    EscrowEmpty,
    EscrowMismatch,
    InsufficientCredits,
    InvalidLegs,
    InvalidReference,
    InvalidText,
    ReferenceReused,
    UnbalancedLegs,
    UnknownAccount,
    UnknownPosting,
)
from credits.ledger import MAX_LEGS, MAX_POSTINGS
from tests.credits.calls import (
    ANYTHING,
    FEES,
    ISSUANCE,
    Account,
    Allocate,
    AllocateMany,
    Balance,
    BalanceAt,
    Balances,
    Call,
    CloseAccount,
    EntriesOf,
    FindAccount,
    FindEscrow,
    Fund,
    FundMany,
    Held,
    Legs,
    Made,
    OpenAccount,
    Outcome,
    Position,
    Post,
    PostMany,
    Refund,
    Refusal,
    Returned,
    Reverse,
    RollUp,
    Settle,
    SettleMany,
    Statement,
    Withdraw,
)

_LENGTHS = {
    "reference": (1, 200),
    "kind": (1, 40),
    "memo": (0, 1_000),
    "subject": (0, 200),
    "work": (1, 196),
}


class Refused(Exception):
    """The call is refused, for one of these reasons."""

    def __init__(self, reasons: Sequence[Refusal]) -> None:
        super().__init__(reasons)
        self.reasons = list(reasons)


@dataclass(frozen=True, slots=True)
class State:
    """An account; those without a floor are derived."""

    kind: str
    owner: UUID | None
    reference: str
    floor: int | None = 0
    balance: int = 0
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """A posting; *instant* is how many instants had been noted before it."""

    name: Made
    reference: str
    request: object
    kind: str
    legs: Legs
    memo: str
    subject: str
    reverses: Made | None
    instant: int
    transaction: int


@dataclass(frozen=True, slots=True)
class _New:
    """A posting of a batch, what a repetition of it has to equal, and the escrow that it ends."""

    posting: Post
    request: object
    ends: Account | None = None


@dataclass(slots=True)
class Model:
    accounts: dict[Account, State]
    postings: dict[str, Recorded] = field(default_factory=dict)
    instants: tuple[tuple[datetime, dict[Account, int]], ...] = ()
    transaction: int = 0
    # Names are never given twice, not even those of what was rolled back.
    accounts_named: int = 0
    postings_named: int = 0

    @classmethod
    def beside(cls, *, issuance: int, fees: int) -> "Model":
        """Return the model of a ledger in which others have posted before."""
        return cls(
            {
                ISSUANCE: State("issuance", None, "", floor=None, balance=issuance),
                FEES: State("fees", None, "", floor=None, balance=fees),
            }
        )

    def copy(self) -> "Model":
        return replace(self, accounts=dict(self.accounts), postings=dict(self.postings))

    def go_back_to(self, earlier: "Model") -> None:
        """Forget what happened since, as a rolled back transaction does."""
        self.accounts = dict(earlier.accounts)
        self.postings = dict(earlier.postings)
        self.instants = earlier.instants

    def note(self, at: datetime) -> None:
        """Remember what everybody holds at an instant that lies after all entries so far."""
        held = {account: state.balance for account, state in self.accounts.items()}
        self.instants += ((at, held),)

    def answer(self, call: Call) -> list[Outcome]:
        """Do what *call* does; return the outcomes of which any is right."""
        before = self.copy()
        try:
            return [Returned(self._do(call))]
        except Refused as refused:
            self.go_back_to(before)
            return list(refused.reasons)

    def escrow(self, work: str) -> Account | None:
        """Return the escrow of a work, open or ended."""
        for account, state in self.accounts.items():
            if state.kind == "escrow" and state.reference == work:
                return account
        return None

    @singledispatchmethod
    def _do(self, call: Call) -> object:
        raise NotImplementedError(call)

    # --- Postings ---------------------------------------------------------------------------------

    @_do.register
    def _(self, call: Post) -> object:
        _refuse(_wrong_texts(call) + _wrong_legs(call.legs))
        request = _request_of(call)
        return self._repeated(call.reference, request) or self._record(call, call.legs, request)

    @_do.register
    def _(self, call: PostMany) -> object:
        _refuse(_too_many(call.postings))
        _refuse(_wrong_postings(call.postings) or _too_much(_legs_of(call.postings)))
        return self._batch([_New(one, _request_of(one)) for one in call.postings])

    @_do.register
    def _(self, call: Reverse) -> object:
        original = next((one for one in self.postings.values() if one.name == call.posting), None)
        _refuse(_wrong_texts(call))
        unknown = [] if original else [Refusal(UnknownPosting, (call.posting,))]
        request = ("reverse", call.posting, call.memo)
        repeated = self._repeated(call.reference, request, besides=unknown)
        if repeated:
            return repeated
        assert original is not None, "whoever is not refused reverses a posting"
        legs = tuple((account, -amount) for account, amount in original.legs)
        reversed_already = any(one.reverses == call.posting for one in self.postings.values())
        _refuse(([Refusal(AlreadyReversed)] if reversed_already else []) + self._troubles(legs))
        as_posting = Post(call.reference, legs, "reversal", call.memo, original.subject)
        return self._record(as_posting, legs, request, reverses=call.posting)

    # --- Accounts ---------------------------------------------------------------------------------

    @_do.register
    def _(self, call: OpenAccount) -> object:
        _refuse(_wrong_text("kind", call.kind))
        if len(call.reference) > _LENGTHS["reference"][1] or _cannot_be_stored(call.reference):
            raise Refused([Refusal(InvalidReference, ("reference",))])
        if not -MAX_AMOUNT <= call.floor <= 0:
            raise Refused([Refusal(ValueError)])
        found = self._open(call.kind, call.owner, call.reference)
        return found or self._open_new(call.kind, call.owner, call.reference, call.floor)

    @_do.register
    def _(self, call: CloseAccount) -> object:
        state = self._known(call.account)
        if state.floor is None:
            raise Refused([Refusal(AccountStaysOpen, (call.account,))])
        if state.balance != 0:
            raise Refused([Refusal(AccountNotEmpty, (call.account, state.balance))])
        self.accounts[call.account] = replace(state, is_open=False)
        return None

    @_do.register
    def _(self, _: RollUp) -> object:
        return ANYTHING

    # --- Escrows ----------------------------------------------------------------------------------

    @_do.register
    def _(self, call: Fund) -> object:
        _refuse(_wrong_amount(call.amount) + _wrong_text("work", call.work) + _wrong_texts(call))
        return self._fund(call, call.work, call.source, call.owner)

    @_do.register
    def _(self, call: Allocate) -> object:
        _refuse(
            _wrong_amount(call.amount)
            + _wrong_text("work", call.work)
            + _wrong_text("work", call.child)
            + _wrong_texts(call)
        )
        source = self.escrow(call.work)
        if source is None:
            self._repeated(call.reference, None, besides=[Refusal(EscrowEmpty, (call.work,))])
        assert source is not None, "whoever is not refused has an escrow"
        return self._fund(call, call.child, source, call.owner)

    @_do.register
    def _(self, call: FundMany) -> object:
        _refuse(_wrong_works(call.works) + _wrong_texts(call))
        return self._fund_many(call, call.works, call.source)

    @_do.register
    def _(self, call: AllocateMany) -> object:
        _refuse(_wrong_works(call.children) + _wrong_text("work", call.work) + _wrong_texts(call))
        source = self.escrow(call.work)
        if source is None:
            self._repeated(call.reference, None, besides=[Refusal(EscrowEmpty, (call.work,))])
        assert source is not None, "whoever is not refused has an escrow"
        return self._fund_many(call, call.children, source)

    @_do.register
    def _(self, call: Withdraw) -> object:
        _refuse(_wrong_amount(call.amount) + _wrong_text("work", call.work) + _wrong_texts(call))
        source, wrong = self._payer(call.work, [call.to])
        request = _request_of(call)
        repeated = self._repeated(call.reference, request, besides=wrong)
        legs = ((source, -call.amount), (call.to, call.amount))
        return repeated or self._record(call, legs, request)

    @_do.register
    def _(self, call: Settle) -> object:
        _refuse(_wrong_end(call))
        if not call.parts:
            (closed,) = self._settle_many([call], [])
            return closed
        source, wrong = self._payer(call.work, [account for account, _ in call.parts])
        return self._end(call, source, _legs_of_end(call, source), wrong)

    @_do.register
    def _(self, call: SettleMany) -> object:
        _refuse(_too_many([*call.ends, *call.beside]))
        wrong = [one for end in call.ends for one in _wrong_end(end)]
        wrong += _wrong_postings(call.beside)
        parts = [part for end in call.ends for part in end.parts]
        _refuse(wrong or _too_much([*parts, *_legs_of(call.beside)]))
        return self._settle_many(call.ends, call.beside)

    @_do.register
    def _(self, call: Refund) -> object:
        _refuse(_wrong_text("work", call.work) + _wrong_texts(call))
        source, wrong = self._payer(call.work, [call.to])
        held = self.accounts[source].balance if source in self.accounts else 0
        return self._end(call, source, ((source, -held), (call.to, held)), wrong)

    def _fund(
        self, call: Fund | Allocate, work: str, source: Account, owner: UUID | None
    ) -> object:
        target = self.escrow(work) or self._open_new("escrow", owner, work, 0)
        wrong = [Refusal(InvalidLegs, ("account_twice", target))] if source == target else []
        request = _request_of(call)
        repeated = self._repeated(call.reference, request, besides=wrong)
        legs = ((source, -call.amount), (target, call.amount))
        return repeated or self._record(call, legs, request)

    def _fund_many(
        self, call: FundMany | AllocateMany, works: Sequence[tuple[str, int]], source: Account
    ) -> object:
        targets = [
            self.escrow(work) or self._open_new("escrow", call.owner, work, 0) for work, _ in works
        ]
        wrong = [Refusal(InvalidLegs, ("account_twice", source))] if source in targets else []
        request = _request_of(call)
        repeated = self._repeated(call.reference, request, besides=wrong)
        amounts = [amount for _, amount in works]
        legs = ((source, -sum(amounts)), *zip(targets, amounts, strict=True))
        return repeated or self._record(call, legs, request)

    def _settle_many(self, ends: Sequence[Settle], beside: Sequence[Post]) -> tuple[object, ...]:
        batch, wrong = [], []
        works = [end.work for end in ends]
        for end in ends:
            source, found = self._payer(end.work, [account for account, _ in end.parts])
            wrong += found
            if not end.parts and works.count(end.work) > 1:
                wrong.append(Refusal(EscrowEmpty, (end.work,)))
            elif end.parts:
                new = Post(
                    f"end:{end.work}",
                    _legs_of_end(end, source),
                    end.kind,
                    end.memo,
                    end.subject,
                )
                batch.append(_New(new, _request_of(end), source))
        batch += [_New(one, _request_of(one)) for one in beside]
        empty = [self.escrow(end.work) for end in ends if not end.parts]
        results = iter(self._batch(batch, [one for one in empty if one is not None], wrong))
        return (*(next(results) if end.parts else None for end in ends), *results)

    def _payer(self, work: str, payees: Iterable[Account]) -> tuple[Account, list[Refusal]]:
        """Return the escrow of a work, and what keeps it from paying *payees*."""
        source = self.escrow(work)
        if source is None:
            return Account("no escrow"), [Refusal(EscrowEmpty, (work,))]
        paid_twice = [Refusal(InvalidLegs, ("account_twice", source))]
        return source, paid_twice if source in payees else []

    def _end(
        self, call: Settle | Refund, source: Account, legs: Legs, wrong: list[Refusal]
    ) -> object:
        reference, request = f"end:{call.work}", _request_of(call)
        earlier = self.postings.get(reference)
        if earlier is not None and earlier.request != request:
            # Not "reused": whoever ends a work that has ended asks what is held.
            wrong = [*wrong, Refusal(EscrowEmpty, (call.work,))]
        _refuse(wrong)
        repeated = self._repeated(reference, request)
        if repeated:
            return repeated
        state = self.accounts[source]
        parts = -sum(amount for account, amount in legs if account == source)
        wrong = self._troubles([leg for leg in legs if leg[0] != source])
        if not state.is_open or state.balance == 0:
            wrong.append(Refusal(EscrowEmpty, (call.work,)))
        elif state.balance != parts:
            wrong.append(Refusal(EscrowMismatch, (call.work, state.balance, parts)))
        _refuse(wrong)
        as_posting = Post(reference, legs, call.kind, call.memo, call.subject)
        result = self._record(as_posting, legs, request)
        self._close(source)
        return result

    # --- Reading ----------------------------------------------------------------------------------

    @_do.register
    def _(self, call: Balance) -> object:
        return self._known(call.account).balance

    @_do.register
    def _(self, call: Balances) -> object:
        return tuple(
            self.accounts[one].balance if one in self.accounts else None for one in call.accounts
        )

    @_do.register
    def _(self, call: BalanceAt) -> object:
        self._known(call.account)
        held = next(held for at, held in self.instants if at == call.at)
        return held.get(call.account, 0)

    @_do.register
    def _(self, call: Position) -> object:
        totals: dict[str, int] = {}
        for state in self.accounts.values():
            if state.owner == call.owner and state.is_open:
                totals[state.kind] = totals.get(state.kind, 0) + state.balance
        return tuple(sorted(totals.items()))

    @_do.register
    def _(self, call: Statement) -> object:
        self._known(call.account)
        since = None if call.since is None else self._instant(call.since)
        until = None if call.until is None else self._instant(call.until)
        lines: list[object] = []
        balance, seq = 0, 0
        for posting in self.postings.values():
            amount = dict(posting.legs).get(call.account)
            if amount is None:
                continue
            balance, seq = balance + amount, seq + 1
            wanted = (
                (call.before is None or seq < call.before)
                and (call.kinds is None or posting.kind in call.kinds)
                and (since is None or posting.instant > since)
                and (until is None or posting.instant <= until)
            )
            if wanted:
                shown = (posting.kind, amount, balance, posting.subject, posting.memo)
                lines.append((seq, posting.name, *shown))
        return tuple(lines[::-1][: call.limit])

    @_do.register
    def _(self, call: EntriesOf) -> object:
        for posting in self.postings.values():
            if posting.name == call.posting:
                return frozenset(posting.legs)
        raise Refused([Refusal(UnknownPosting, (call.posting,))])

    @_do.register
    def _(self, call: FindAccount) -> object:
        return self._open(call.kind, call.owner, call.reference)

    @_do.register
    def _(self, call: Held) -> object:
        escrow = self.escrow(call.work)
        return 0 if escrow is None else self.accounts[escrow].balance

    @_do.register
    def _(self, call: FindEscrow) -> object:
        return self.escrow(call.work)

    # --- What the calls have in common ------------------------------------------------------------

    def _known(self, account: Account) -> State:
        if account not in self.accounts:
            raise Refused([Refusal(UnknownAccount, (account,))])
        return self.accounts[account]

    def _open(self, kind: str, owner: UUID | None, reference: str) -> Account | None:
        for account, state in self.accounts.items():
            if state.is_open and (state.kind, state.owner, state.reference) == (
                kind,
                owner,
                reference,
            ):
                return account
        return None

    def _open_new(self, kind: str, owner: UUID | None, reference: str, floor: int) -> Account:
        self.accounts_named += 1
        name = Account(f"{kind}#{self.accounts_named}")
        self.accounts[name] = State(kind, owner, reference, floor)
        return name

    def _name_posting(self) -> Made:
        self.postings_named += 1
        return Made(self.postings_named)

    def _instant(self, at: datetime) -> int:
        return [noted for noted, _ in self.instants].index(at)

    def _repeated(
        self, reference: str, request: object, *, besides: Sequence[Refusal] = ()
    ) -> tuple[bool, Made] | None:
        """Return the earlier posting that a request repeats; refuse a different one."""
        earlier = self.postings.get(reference)
        if earlier is None or earlier.request == request:
            _refuse(besides)
            return None if earlier is None else (True, earlier.name)
        raise Refused([*besides, Refusal(ReferenceReused, (reference, earlier.name))])

    def _trouble(self, account: Account, balance: int, amount: int) -> Refusal | None:
        state = self.accounts.get(account)
        if state is None:
            return Refusal(UnknownAccount, (account,))
        if state.floor is None:
            return None
        if not state.is_open:
            return Refusal(AccountClosed, (account,))
        if balance + amount < state.floor:
            return Refusal(InsufficientCredits, (account, -amount, balance - state.floor))
        if balance + amount > MAX_AMOUNT:
            return Refusal(BalanceTooLarge, (account,))
        return None

    def _balance(self, account: Account) -> int:
        return self.accounts[account].balance if account in self.accounts else 0

    def _troubles(self, legs: Iterable[tuple[Account, int]]) -> list[Refusal]:
        found = [self._trouble(account, self._balance(account), amount) for account, amount in legs]
        return [one for one in found if one is not None]

    def _batch(
        self,
        batch: Sequence[_New],
        empty: Sequence[Account] = (),
        besides: Sequence[Refusal] = (),
    ) -> tuple[object, ...]:
        """Record postings one after the other, and close at last the escrows *empty*."""
        fresh: dict[str, _New] = {}
        reused = list(besides)
        for new in batch:
            earlier = self.postings.get(new.posting.reference)
            first = fresh.get(new.posting.reference)
            if earlier is not None and earlier.request != new.request:
                reused.append(self._reuse(new, earlier.name))
            elif first is not None and first.request != new.request:
                # The posting that it names is one of this batch, which is not written.
                reused.append(self._reuse(new, self._name_posting()))
            elif earlier is None:
                fresh.setdefault(new.posting.reference, new)
        _refuse(reused)
        _refuse(self._batch_troubles(list(fresh.values()), empty))
        results = []
        for new in batch:
            posting, request = new.posting, new.request
            repeated = self._repeated(posting.reference, request)
            results.append(repeated or self._record(posting, posting.legs, request))
            if not repeated and new.ends is not None:
                self._close(new.ends)
        for account in empty:
            self._close(account)
        return tuple(results)

    def _reuse(self, new: _New, earlier: Made) -> Refusal:
        if new.ends is None:
            return Refusal(ReferenceReused, (new.posting.reference, earlier))
        # Not "reused": whoever ends a work that has ended asks what is held.
        return Refusal(EscrowEmpty, (new.posting.reference.removeprefix("end:"),))

    def _close(self, account: Account) -> None:
        self.accounts[account] = replace(self.accounts[account], is_open=False)

    def _batch_troubles(self, batch: Sequence[_New], empty: Sequence[Account]) -> list[Refusal]:
        """Return what keeps postings from being made one after the other.

        For each account, where it first goes wrong; and also, because a batch takes each account
        once, what all of them together ask of it.
        """
        amounts: dict[Account, dict[int, int]] = {account: {} for account in empty}
        for place, new in enumerate(batch):
            for account, amount in new.posting.legs:
                amounts.setdefault(account, {})[place] = amount
        ended = dict.fromkeys(empty, len(batch))
        ended |= {new.ends: place for place, new in enumerate(batch) if new.ends is not None}
        troubles = []
        for account, steps in amounts.items():
            if account in ended:
                troubles += self._end_troubles(account, steps, ended[account])
            else:
                troubles += self._step_troubles(account, steps)
        return troubles

    def _step_troubles(self, account: Account, steps: Mapping[int, int]) -> list[Refusal]:
        balance = self._balance(account)
        found = [self._trouble(account, balance, sum(steps.values()))]
        for amount in steps.values():
            trouble = self._trouble(account, balance, amount)
            if trouble is not None:
                found.append(trouble)
                break
            balance += amount
        return [one for one in found if one is not None]

    def _end_troubles(
        self, account: Account, steps: Mapping[int, int], ended: int
    ) -> list[Refusal]:
        """Return what keeps the posting in the place *ended* from leaving an escrow at zero."""
        state, parts = self.accounts[account], -steps.get(ended, 0)
        if not state.is_open:
            return [Refusal(EscrowEmpty, (state.reference,))]

        def trouble(held: int) -> list[Refusal]:
            if held == parts:
                return []
            if held == 0:
                return [Refusal(EscrowEmpty, (state.reference,))]
            return [Refusal(EscrowMismatch, (state.reference, held, parts))]

        found = trouble(state.balance + sum(steps.values()) + parts)
        balance = state.balance
        for place, amount in steps.items():
            if place > ended:
                wrong = [Refusal(AccountClosed, (account,))]
            elif place == ended:
                wrong = trouble(balance)
            else:
                wrong = [one for one in [self._trouble(account, balance, amount)] if one]
            if wrong:
                return found + wrong
            balance += amount
        return found

    def _record(
        self,
        call: Post | Fund | Allocate | FundMany | AllocateMany | Withdraw,
        legs: Legs,
        request: object,
        *,
        reverses: Made | None = None,
    ) -> tuple[bool, Made]:
        _refuse(self._troubles(legs))
        for account, amount in legs:
            state = self.accounts[account]
            self.accounts[account] = replace(state, balance=state.balance + amount)
        name = self._name_posting()
        self.postings[call.reference] = Recorded(
            name=name,
            reference=call.reference,
            request=request,
            kind=call.kind,
            legs=legs,
            memo=call.memo,
            subject=call.subject,
            reverses=reverses,
            instant=len(self.instants),
            transaction=self.transaction,
        )
        return (False, name)


# --- What is wrong with a request, whatever the accounts hold -------------------------------------


def _refuse(reasons: Sequence[Refusal]) -> None:
    if reasons:
        raise Refused(reasons)


def _request_of(
    call: Post | Fund | Allocate | FundMany | AllocateMany | Withdraw | Settle | Refund,
) -> object:
    """Return what a repetition has to equal. The order of legs means nothing."""
    match call:
        case FundMany():
            return replace(call, works=tuple(sorted(call.works)))
        case AllocateMany():
            return replace(call, children=tuple(sorted(call.children)))
        case Post():
            return replace(call, legs=tuple(sorted(call.legs, key=str)))
        case Settle():
            return replace(call, parts=tuple(sorted(call.parts, key=str)))
    return call


def _cannot_be_stored(text: str) -> bool:
    return any(character == "\0" or 0xD800 <= ord(character) < 0xE000 for character in text)


def _wrong_text(name: str, text: str) -> list[Refusal]:
    least, most = _LENGTHS[name]
    if least <= len(text) <= most and not _cannot_be_stored(text):
        return []
    return [Refusal(InvalidReference if name == "reference" else InvalidText, (name,))]


def _wrong_texts(
    call: Post | Reverse | Fund | Allocate | FundMany | AllocateMany | Withdraw | Settle | Refund,
) -> list[Refusal]:
    return [
        wrong
        for name in ("reference", "kind", "memo", "subject")
        for wrong in (_wrong_text(name, getattr(call, name)) if hasattr(call, name) else [])
    ]


def _wrong_size(amount: object, account: Account | None) -> list[Refusal]:
    if type(amount) is not int:
        return [Refusal(InvalidLegs, ("not_an_integer", account))]
    if amount == 0:
        return [Refusal(InvalidLegs, ("zero_amount", account))]
    if abs(amount) > MAX_AMOUNT:
        return [Refusal(InvalidLegs, ("amount_too_large", account))]
    return []


def _wrong_amount(amount: int, account: Account | None = None) -> list[Refusal]:
    """Return what is wrong with the amount of an escrow's call."""
    negative = [Refusal(InvalidLegs, ("negative_amount", account))]
    return _wrong_size(amount, account) or (negative if amount < 0 else [])


def _too_much(legs: Iterable[tuple[object, int]]) -> list[Refusal]:
    moved = sum(amount for _, amount in legs if amount > 0)
    return [Refusal(InvalidLegs, ("amount_too_large", None))] if moved > MAX_AMOUNT else []


def _wrong_number(legs: Sequence[object], least: int, most: int) -> list[Refusal]:
    if len(legs) < least:
        return [Refusal(InvalidLegs, ("too_few_legs", None))]
    return [Refusal(InvalidLegs, ("too_many_legs", None))] if len(legs) > most else []


def _wrong_legs(legs: Legs) -> list[Refusal]:
    wrong = _wrong_number(legs, 2, MAX_LEGS)
    accounts = [account for account, _ in legs]
    for account, amount in legs:
        wrong += _wrong_size(amount, account)
        if accounts.count(account) > 1:
            wrong.append(Refusal(InvalidLegs, ("account_twice", account)))
    if any(type(amount) is not int for _, amount in legs):
        return wrong
    total = sum(amount for _, amount in legs)
    if total != 0:
        wrong.append(Refusal(UnbalancedLegs, (total,)))
    return wrong + _too_much(legs)


def _wrong_postings(postings: Sequence[Post]) -> list[Refusal]:
    return [one for new in postings for one in _wrong_texts(new) + _wrong_legs(new.legs)]


def _legs_of(postings: Sequence[Post]) -> list[tuple[Account, int]]:
    return [leg for new in postings for leg in new.legs]


def _too_many(postings: Sequence[object]) -> list[Refusal]:
    too_many = len(postings) > MAX_POSTINGS
    return [Refusal(InvalidLegs, ("too_many_postings", None))] if too_many else []


def _wrong_end(call: Settle) -> list[Refusal]:
    wrong = _wrong_number(call.parts, 0, MAX_LEGS - 1)
    for account, amount in call.parts:
        wrong += _wrong_amount(amount, account)
    wrong += _wrong_text("work", call.work) + _wrong_texts(call)
    return wrong or _too_much(call.parts)


def _legs_of_end(call: Settle, source: Account) -> Legs:
    return (*call.parts, (source, -sum(amount for _, amount in call.parts)))


def _wrong_works(works: Sequence[tuple[str, int]]) -> list[Refusal]:
    wrong = _wrong_number(works, 1, MAX_LEGS - 1)
    for work, amount in works:
        wrong += _wrong_text("work", work) + _wrong_amount(amount)
    return wrong or _too_much(works)
