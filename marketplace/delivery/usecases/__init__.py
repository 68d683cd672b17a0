"""What is done with deliveries: one module per verb."""
