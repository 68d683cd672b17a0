"""What every other package stands on: ids, the clock, transactions, settings readers."""
