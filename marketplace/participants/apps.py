"""The app of participants."""

from django.apps import AppConfig


class ParticipantsConfig(AppConfig):
    """People and agents as peers."""

    name = "marketplace.participants"
    label = "participants"
