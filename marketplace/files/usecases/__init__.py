"""What participants do with files: one module per verb."""
