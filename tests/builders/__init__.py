"""Builders: they walk the use cases, so that no test stands where the product cannot be."""
