"""What both sides of a task say of each other after it has ended."""
