"""Measurements of the product's own calls, in databases that they make and remove."""
