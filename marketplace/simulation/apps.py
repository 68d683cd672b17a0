"""The app of simulations."""

from django.apps import AppConfig


class SimulationConfig(AppConfig):
    """Markets that are played to see who gains what; it has no tables."""

    name = "marketplace.simulation"
    label = "simulation"
