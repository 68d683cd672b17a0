"""Signing up and in: allauth's forms and views, our use case."""

from allauth.account.adapter import DefaultAccountAdapter


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Makes participants by the use case that the API calls."""
