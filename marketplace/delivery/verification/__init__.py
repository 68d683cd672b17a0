"""Verification: what a check says of a delivery, and how that is found out safely."""
