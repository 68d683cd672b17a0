"""Rows of the ledger as the lines that are hashed and exported; see `credits.verifier`."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from credits import verifier


class Place(NamedTuple):
    """Where an entry stands in the order of seals: its posting's place, and its account."""

    epoch: int
    xid: str
    posting: UUID
    account: int


class Line(NamedTuple):
    """An entry with what its posting says; the columns of the SQL function credits_in_order.

    The posting and the entry have one epoch and xid, unless somebody changed one of them.
    """

    posting_epoch: int
    posting_xid: str
    posting: UUID
    kind: str
    reference: str
    digest: bytes
    memo: str
    subject: str
    reverses: UUID | None
    posting_created_at: datetime
    epoch: int
    xid: str
    account: int
    amount: int
    seq: int | None
    balance_after: int | None
    created_at: datetime

    @property
    def place(self) -> Place:
        return Place(self.posting_epoch, self.posting_xid, self.posting, self.account)

    def posting_line(self) -> dict[str, object]:
        return {
            "type": "posting",
            "id": str(self.posting),
            "kind": self.kind,
            "reference": self.reference,
            "digest": self.digest.hex(),
            "memo": self.memo,
            "subject": self.subject,
            "reverses": None if self.reverses is None else str(self.reverses),
            "epoch": self.posting_epoch,
            "xid": self.posting_xid,
            "created_at": instant(self.posting_created_at),
        }

    def entry_line(self) -> dict[str, object]:
        return {
            "type": "entry",
            "posting": str(self.posting),
            "account": self.account,
            "amount": self.amount,
            "seq": self.seq,
            "balance_after": self.balance_after,
            "epoch": self.epoch,
            "xid": self.xid,
            "created_at": instant(self.created_at),
        }

    def leaf(self, salt: bytes) -> str:
        """Return the leaf of the entry in a block with this salt."""
        return verifier.leaf(self.posting_line(), self.entry_line(), salt)


def instant(at: datetime) -> str:
    """Return a time as it is hashed and exported: UTC, with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
