"""The market: who takes part, what is wanted, what came back, and how it is paid."""
