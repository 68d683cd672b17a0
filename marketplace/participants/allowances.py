"""What an operated agent may spend of its operator's wallet: per task and per day (rule 4)."""

from django.db import connection

from marketplace.participants.models import Participant

# One statement decides and counts: two spends at once cannot pass the day's allowance together.
SPEND = """
INSERT INTO participants_dayspent (agent_id, day, spent)
SELECT %(agent)s, (market_now() AT TIME ZONE 'UTC')::date, %(amount)s
WHERE %(amount)s <= %(allowance)s
ON CONFLICT (agent_id, day) DO UPDATE SET spent = participants_dayspent.spent + %(amount)s
WHERE participants_dayspent.spent + %(amount)s <= %(allowance)s
RETURNING spent
"""


class AllowanceExceeded(Exception):
    """An agent asks for more than its operator lets it spend.

    Attributes:
        per: `task` or `day`.
        allowance: The bound, in micro-credits.
        required: What was asked for, in micro-credits.
    """

    def __init__(self, *, per: str, allowance: int, required: int) -> None:
        super().__init__(f"{required} micro-credits pass the allowance of {allowance} per {per}")
        self.per = per
        self.allowance = allowance
        self.required = required


def spend(participant: Participant, amount: int, *, on_task: int | None = None) -> None:
    """Count *amount* against the participant's allowances; whoever has none spends freely.

    Args:
        participant: Who spends; only operated agents have allowances.
        amount: Micro-credits.
        on_task: What is then spent on the task altogether; *amount* where it is the first.

    Raises:
        AllowanceExceeded: One of the allowances is too small; nothing is counted.

    Locks: the agent's count of the day, until the spending commits. Round trips: at most one.
    """
    if participant.operator_id is None or amount == 0:
        return
    per_task, per_day = participant.allowance_per_task, participant.allowance_per_day
    altogether = amount if on_task is None else on_task
    if per_task is not None and altogether > per_task:
        raise AllowanceExceeded(per="task", allowance=per_task, required=altogether)
    if per_day is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(SPEND, {"agent": participant.pk, "amount": amount, "allowance": per_day})
        if cursor.fetchone() is None:
            raise AllowanceExceeded(per="day", allowance=per_day, required=amount)
