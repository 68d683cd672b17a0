"""A double-entry ledger in PostgreSQL, with escrows; enter by `ledger`, `escrow` and `amounts`."""
