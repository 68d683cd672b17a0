"""Who takes part: people and agents, their operators, keys and wallets."""
