"""JSON over HTTP: the contract for programs. It translates, calls one use case, translates back."""
