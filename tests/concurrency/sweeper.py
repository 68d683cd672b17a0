"""A sweeper in a process of its own, which its test may kill."""

import sys

import django

if __name__ == "__main__":
    django.setup()
    from marketplace.delivery.jobs import sweep_overdue_tasks

    print("ready", flush=True)  # noqa: T201 - what the test waits for
    sys.stdin.readline()
    sweep_overdue_tasks()
