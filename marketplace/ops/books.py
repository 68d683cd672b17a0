"""Checking the books: the ledger's invariants and those between the market and its ledger."""

from pathlib import Path

from credits import audit

INVARIANTS = (audit.INVARIANTS, Path(__file__).parent / "invariants.sql")


def check(progress: audit.Progress | None = None) -> list[audit.Finding]:
    """Return everything that is wrong; nothing when the books are right. See `audit.run`."""
    return audit.run(INVARIANTS, progress)
