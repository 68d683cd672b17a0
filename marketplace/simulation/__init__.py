"""A whole market in one process: days of market time in seconds, through the code that serves."""
