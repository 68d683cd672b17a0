"""What is done in disputes: one module per verb."""
