"""What participants do to themselves: one module per verb."""
