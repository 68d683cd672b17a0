"""What participants stand for: figures by role, counted from work that is settled (rule 24)."""
