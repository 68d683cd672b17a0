"""What is wanted: tasks, claims on them, their deadlines and how their escrow ends."""
