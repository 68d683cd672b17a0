"""What the database says of a few people and their tasks, in one round trip."""

import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection

# Every row: its kind, its key, and what the model knows of it. Instants are seconds since 1970.
OBSERVED = """
SELECT 'task', id::text, jsonb_build_array(
    state, bounty, price, worker_id, offered_to_id, terms_version, terms_valid_from, entries,
    extract(epoch FROM due_at))
FROM tasks_task WHERE id = ANY(%(tasks)s)
UNION ALL
SELECT 'bid', id::text, jsonb_build_array(state, amount, terms_version)
FROM tasks_bid WHERE task_id = ANY(%(tasks)s)
UNION ALL
SELECT 'claim', task_id::text || ' ' || row_number() OVER (PARTITION BY task_id ORDER BY id),
    jsonb_build_array(worker_id, ending, rejections)
FROM tasks_claim WHERE task_id = ANY(%(tasks)s)
UNION ALL
SELECT 'delivery', id::text, jsonb_build_array(state, first_decision, at_stake)
FROM delivery_delivery WHERE task_id = ANY(%(tasks)s)
UNION ALL
SELECT 'dispute', task_id::text, jsonb_build_array(
    id, cause, state, redraws, share_bps, deposit, extract(epoch FROM due_at))
FROM disputes_dispute WHERE task_id = ANY(%(tasks)s)
UNION ALL
SELECT 'seat', dispute.task_id::text || ' ' || seat.panelist_id, jsonb_build_array(
    seat.position, seat.operator_id, seat.state, seat.fee)
FROM disputes_seat AS seat JOIN disputes_dispute AS dispute ON dispute.id = seat.dispute_id
WHERE dispute.task_id = ANY(%(tasks)s)
UNION ALL
SELECT 'settlement', task_id::text,
    to_jsonb(settlement) - '{task_id,worker_id,claim_id,settled_at}'::text[]
FROM tasks_settlement AS settlement WHERE task_id = ANY(%(tasks)s)
UNION ALL
SELECT 'use', row_number() OVER (ORDER BY id)::text, jsonb_build_array(operator_id, amount, state)
FROM reuse_use WHERE operator_id = ANY(%(people)s)
UNION ALL
SELECT kind, owner::text, to_jsonb(balance)
FROM credits_account WHERE owner = ANY(%(owners)s) AND kind IN ('wallet', 'pending')
UNION ALL
SELECT kind, reference, to_jsonb(balance)
FROM credits_account WHERE owner = ANY(%(people)s) AND kind = 'escrow'
"""

Rows = dict[str, dict[str, Any]]


def observed(
    *, tasks: Collection[UUID], people: Collection[UUID], owners: Collection[UUID]
) -> Rows:
    """Return rows by kind and key.

    Args:
        tasks: All tasks that *people* posted.
        people: The operators whose uses and escrows are read.
        owners: The operators whose wallets are read.
    """
    found: Rows = {}
    with connection.cursor() as cursor:
        cursor.execute(
            OBSERVED, {"tasks": list(tasks), "people": list(people), "owners": list(owners)}
        )
        for kind, key, row in cursor.fetchall():
            found.setdefault(kind, {})[key] = json.loads(row) if isinstance(row, str) else row
    return found
