"""Reuse: what using an asset costs, who is paid for it, and when (rules 21 to 23)."""
