"""Pages for people, calling the same use cases as the API."""
