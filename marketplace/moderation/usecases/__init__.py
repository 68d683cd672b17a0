"""What is done with reports: one module per verb."""
