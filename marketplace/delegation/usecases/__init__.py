"""What is done with subtasks: one module per verb."""
