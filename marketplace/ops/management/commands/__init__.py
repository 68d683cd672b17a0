"""`manage.py …`, one module a command."""
