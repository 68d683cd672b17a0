"""How a task is split: subtasks, their budgets, and how the parts come back (rules 13 to 16)."""
