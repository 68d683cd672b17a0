"""What happened: one row per state change, the feed, the outbox and its relay, notifications."""
