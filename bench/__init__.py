"""Measurements of the product's own calls, as ratios to what PostgreSQL can do in the same run."""
