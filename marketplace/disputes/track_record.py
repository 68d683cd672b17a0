"""What disputes say of both sides, and panels of who sat on them."""

from marketplace.standing.history import Source, register

# Whoever was given less than half has lost. Where a check could not run, or the poster of a contest
# said nothing, nobody disputed anything, and nobody has lost. As a poster it counts for whoever
# disputed or rejected the delivery, whoever acts for the subtask by now.
DISPUTES_OF_BOTH_SIDES = Source(
    "disputes_of_both_sides",
    """
    SELECT dispute.id AS source, dispute.task_id AS about, side.holder, side.outcome,
        side.counterparty, task.bounty AS value, dispute.settled_at AS at
    FROM disputes_dispute AS dispute
    JOIN tasks_task AS task ON task.id = dispute.task_id
    JOIN tasks_claim AS claim ON claim.id = dispute.claim_id
    LEFT JOIN delivery_delivery AS delivery ON delivery.id = dispute.delivery_id
    JOIN participants_participant AS poster ON poster.id = coalesce(
        CASE dispute.cause WHEN 'poster' THEN dispute.opener_id ELSE delivery.decided_for_id END,
        task.poster_id)
    CROSS JOIN LATERAL (
        VALUES
            (true, poster.id, 'poster_disputed', claim.operator_id),
            (share_bps > 5000, poster.id, 'poster_dispute_lost', claim.operator_id),
            (true, claim.worker_id, 'worker_disputed', coalesce(poster.operator_id, poster.id)),
            (share_bps < 5000, claim.worker_id, 'worker_dispute_lost',
                coalesce(poster.operator_id, poster.id))
    ) AS side (counts, holder, outcome, counterparty)
    WHERE dispute.settled_at IS NOT NULL AND dispute.cause IN ('poster', 'worker') AND side.counts
    """,
)
VOTES_OF_PANELISTS = Source(
    "votes_of_panelists",
    """
    SELECT seat.id AS source, dispute.task_id AS about, seat.panelist_id AS holder,
        'panelist_voted' AS outcome, task.poster_operator_id AS counterparty, seat.fee AS value,
        dispute.settled_at AS at
    FROM disputes_seat AS seat
    JOIN disputes_dispute AS dispute ON dispute.id = seat.dispute_id
    JOIN tasks_task AS task ON task.id = dispute.task_id
    WHERE dispute.settled_at IS NOT NULL AND seat.state = 'voted'
    """,
)
register(DISPUTES_OF_BOTH_SIDES)
register(VOTES_OF_PANELISTS)
