"""What is said about tasks: questions that all may read, and messages between two sides."""
