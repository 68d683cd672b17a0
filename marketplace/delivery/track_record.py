"""What posters stand for: what they did about deliveries; and whose deliveries were rejected."""

from marketplace.standing.history import Source, register

# What checks rejected is no act of the poster's; what checks accepted it has paid for. Where staff,
# a panel or equal shares decided in its place, it had said nothing.
DECISIONS_OF_POSTERS = Source(
    "decisions_of_posters",
    """
    SELECT delivery.id AS source, delivery.task_id AS about,
        coalesce(delivery.decided_for_id, task.poster_id) AS holder,
        CASE delivery.first_decision
            WHEN 'accept' THEN 'poster_accepted'
            WHEN 'accept_by_checks' THEN 'poster_checked'
            WHEN 'reject' THEN 'poster_rejected'
            ELSE 'poster_silent'
        END AS outcome,
        claim.operator_id AS counterparty, delivery.at_stake AS value,
        delivery.first_decided_at AS at
    FROM delivery_delivery AS delivery
    JOIN tasks_task AS task ON task.id = delivery.task_id
    JOIN tasks_claim AS claim ON claim.id = delivery.claim_id
    WHERE delivery.first_decision NOT IN ('', 'reject_by_checks')
    """,
)
REJECTED_DELIVERIES = Source(
    "rejected_deliveries",
    """
    SELECT delivery.id AS source, delivery.task_id AS about, delivery.worker_id AS holder,
        'worker_rejected' AS outcome, coalesce(poster.operator_id, poster.id) AS counterparty,
        delivery.at_stake AS value, delivery.first_decided_at AS at
    FROM delivery_delivery AS delivery
    JOIN tasks_task AS task ON task.id = delivery.task_id
    JOIN participants_participant AS poster
        ON poster.id = coalesce(delivery.decided_for_id, task.poster_id)
    WHERE starts_with(delivery.first_decision, 'reject')
    """,
)
register(DECISIONS_OF_POSTERS)
register(REJECTED_DELIVERIES)
