"""`make bench-sweep`: how fast overdue tasks are dealt with, and that each is once.

Posts tasks through the use cases, lets simulated time pass, starts sweepers and kills some of them
in the middle. Then every task has had its due transition once, and the books are right.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

from bench.instance import an_instance

SWEEP = "from marketplace.delivery.jobs import sweep_overdue_tasks as sweep"
# Waits for a line, so that all sweepers begin together and none of them while Django starts.
SWEEPER = f"""
import sys, django
django.setup()
{SWEEP}
print("ready", flush=True)
sys.stdin.readline()
sweep()
"""
POSTERS = 100
WORKERS = 4_000  # each holds as many tasks as the caps let it
TOGETHER = 200
GIVE_UP_SECONDS = 300


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="how many are overdue")
    parser.add_argument("--sweepers", type=int, default=4)
    parser.add_argument("--kill", type=int, default=2, help="how many sweepers are killed")
    parser.add_argument("--mixed", action="store_true", help="also leases and silent reviews")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with an_instance():
        figures = measure(asked.tasks, asked.sweepers, asked.kill, is_mixed=asked.mixed)
    if asked.json:
        print(json.dumps(figures))  # noqa: T201 - what a bench is for
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<28}{value!s:>16}")  # noqa: T201 - what a bench is for


def measure(tasks: int, sweepers: int, killed: int, *, is_mixed: bool) -> dict[str, object]:
    """Return the figures; fails where a task was not dealt with exactly once."""
    from marketplace.foundation import clock  # noqa: PLC0415 - Django is set up now
    from marketplace.ops import books  # noqa: PLC0415

    began = time.monotonic()
    make_overdue(tasks, is_mixed=is_mixed)
    clock.advance(timedelta(days=4))
    made = time.monotonic() - began
    overdue = count_due()
    seconds, restarted = sweep_all(sweepers, killed)
    wrong = [str(finding) for finding in books.check()]
    repeated = repeated_transitions()
    assert not wrong, wrong
    assert not repeated, repeated
    return {
        "overdue": overdue,
        "sweepers": sweepers,
        "killed_and_restarted": restarted,
        "processors": os.cpu_count(),
        "seconds": round(seconds, 2),
        "tasks_per_second": round(overdue / seconds),
        "left_overdue": count_due(),
        "transitions_made_twice": len(repeated),
        "findings_of_the_audit": len(wrong),
        "seconds_to_prepare": round(made),
    }


def make_overdue(tasks: int, *, is_mixed: bool) -> None:
    """Post tasks that will be overdue in four days: open, held, or awaiting a silent poster."""
    from django.db import transaction  # noqa: PLC0415

    from credits import amounts  # noqa: PLC0415
    from marketplace.delivery.usecases.submit_delivery import Work, submit_delivery  # noqa: PLC0415
    from marketplace.foundation import clock  # noqa: PLC0415
    from marketplace.participants.models import Kind  # noqa: PLC0415
    from marketplace.participants.usecases.register_participant import (  # noqa: PLC0415
        register_participant,
    )
    from marketplace.tasks.terms import Wanted  # noqa: PLC0415
    from marketplace.tasks.usecases.claim_task import claim_task  # noqa: PLC0415
    from marketplace.tasks.usecases.post_task import post_task  # noqa: PLC0415

    def somebody(handle: str) -> object:
        return register_participant(handle=handle, kind=Kind.AGENT, display_name=handle).participant

    chance = random.Random(7)
    posters = [somebody(f"poster-{number}") for number in range(POSTERS)]
    workers = [somebody(f"worker-{number}") for number in range(tasks // 6)] if is_mixed else []
    for start in range(0, tasks, TOGETHER):
        with transaction.atomic():
            for number in range(start, min(start + TOGETHER, tasks)):
                wanted = Wanted(
                    title=f"Task {number}",
                    description="Measured.",
                    bounty=amounts.MICRO // 2,
                    deadline=clock.now() + timedelta(days=3),
                )
                task = post_task(actor=chance.choice(posters), wanted=wanted)  # type: ignore[arg-type]
                kind = number % 4
                if not is_mixed or kind < 2 or number // 6 >= len(workers):  # noqa: PLR2004 - half
                    continue
                worker = workers[number // 6]
                claim_task(task_id=task.pk, actor=worker)  # type: ignore[arg-type]
                if kind == 3:  # noqa: PLR2004 - a quarter
                    submit_delivery(task_id=task.pk, actor=worker, work=Work(summary="Done."))  # type: ignore[arg-type]


def sweep_all(sweepers: int, killed: int) -> tuple[float, int]:
    """Run sweepers until nothing is due; return the seconds it took, and how many were killed."""
    running = [_sweeper() for _ in range(sweepers)]
    due = count_due()
    victims = [due * (number + 1) // (killed + 1) for number in range(killed)]  # evenly
    restarted = 0
    began = time.monotonic()
    for one in running:
        _start(one)
    while left := count_due():
        assert time.monotonic() - began < GIVE_UP_SECONDS, f"{left} tasks are still overdue"
        if victims and left <= victims[-1]:
            victims.pop()
            victim = running.pop(0)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            restarted += 1
            running.append(_sweeper(starts_at_once=True))
        time.sleep(0.1)
    seconds = time.monotonic() - began
    for one in running:
        one.wait(timeout=60)
    return seconds, restarted


def _sweeper(*, starts_at_once: bool = False) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if starts_at_once:
        _start(process)
    else:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return process


def _start(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def count_due() -> int:
    """Return how many tasks are overdue."""
    from marketplace.foundation import clock  # noqa: PLC0415
    from marketplace.tasks.models import Task  # noqa: PLC0415

    return Task.objects.filter(due_at__lte=clock.now()).count()


def repeated_transitions() -> list[str]:
    """Return tasks with two events of a kind that happens to a task once here."""
    from django.db.models import Count  # noqa: PLC0415

    from marketplace.events.models import Event  # noqa: PLC0415

    by_the_clock = Event.objects.filter(actor=None).values("type", "subject_id")
    twice = by_the_clock.annotate(times=Count("pk")).filter(times__gt=1)
    return [f"{one['type']} of {one['subject_id']}" for one in twice]


if __name__ == "__main__":
    main()
