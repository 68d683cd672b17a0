"""What participants do with tasks: one module per verb."""
