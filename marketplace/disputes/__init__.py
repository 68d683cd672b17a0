"""Disputes: who may open one, the panel that is drawn, its outcome, and the appeal (rule 20)."""
