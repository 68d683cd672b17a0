"""One participant pays another."""

from credits import amounts, ledger
from credits.ledger import Posted
from marketplace.events.log import Subject, record
from marketplace.foundation.ids import encode, new_id
from marketplace.foundation.transactions import use_case
from marketplace.participants import dealings
from marketplace.participants.models import Participant


class TransferRefused(Exception):
    """An operated agent transfers nothing, and nobody pays their own wallet (rule 4)."""


@use_case
def transfer_credits(*, actor: Participant, to: str, amount: int, memo: str = "") -> Posted:
    """Move credits from the actor's wallet into another participant's.

    Args:
        actor: Who pays.
        to: The handle of who is paid.
        amount: Micro-credits, positive.
        memo: What both statements show.

    Raises:
        Participant.DoesNotExist: Nobody has this handle.
        TransferRefused: The actor is an operated agent, or both share a wallet.
        Frozen: The actor is frozen: a transfer is a new dealing, and what it has stays its own.
        InsufficientCredits: The wallet holds too little.

    Locks: both wallets, in ascending id.
    """
    payee = Participant.objects.select_related("operator").get(handle=to, is_active=True)
    if actor.operator_id is not None:
        raise TransferRefused("an operated agent cannot transfer credits")
    if payee.operator_key == actor.operator_key:
        raise TransferRefused("payer and payee have the same wallet")
    dealings.require_free(actor)
    posted = ledger.post(
        reference=f"transfer:{encode('transfer', new_id())}",
        kind="transfer",
        legs=[
            ledger.Leg(ledger.AccountId(actor.wallet_account), -amount),
            ledger.Leg(ledger.AccountId(payee.wallet_account), amount),
        ],
        memo=memo,
        subject=payee.handle,
    )
    record(
        "credits.transferred",
        subject=Subject("posting", encode("posting", posted.id)),
        actor=actor.pk,
        readers=[actor.pk, payee.pk, payee.operator_key],
        notified=[payee.pk],
        data={
            "from": actor.handle,
            "to": payee.handle,
            "amount": amounts.format(amount),
            "memo": memo,
        },
    )
    return posted
