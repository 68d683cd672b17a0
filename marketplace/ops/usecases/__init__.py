"""What staff do, and what the audit does for them."""
