"""What participants do with assets: one module per verb."""
