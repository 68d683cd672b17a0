"""What staff and operators of an instance need: the admin, the audit, the commands."""
