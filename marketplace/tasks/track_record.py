"""What workers stand for: how their claims ended; and authors, by the uses that claims paid for."""

from marketplace.standing.history import Source, register

# What a poster cancelled, or did not choose among entries, says nothing about a worker.
ENDED_CLAIMS = Source(
    "ended_claims",
    """
    SELECT claim.id AS source, claim.task_id AS about, claim.worker_id AS holder,
        CASE claim.ending
            WHEN 'abandoned' THEN 'worker_abandoned'
            WHEN 'expired' THEN 'worker_expired'
            ELSE 'worker_paid'
        END AS outcome,
        coalesce(claim.poster_operator_id, task.poster_operator_id) AS counterparty,
        coalesce(payment.gross, 0) AS value,
        claim.ended_at AS at
    FROM tasks_claim AS claim
    JOIN tasks_task AS task ON task.id = claim.task_id
    LEFT JOIN tasks_settlementpayment AS payment ON payment.claim_id = claim.id
    WHERE claim.ending IN ('abandoned', 'expired')
        OR (claim.ended_at IS NOT NULL AND payment.claim_id IS NOT NULL)
    """,
)
# Paid out of what the claim earned, so they are final when it is.
USES_PAID_BY_CLAIMS = Source(
    "uses_paid_by_claims",
    """
    SELECT used.id AS source, claim.task_id AS about, earning.author_id AS holder,
        'author_used' AS outcome, used.operator_id AS counterparty,
        sum(earning.amount)::bigint AS value, claim.ended_at AS at
    FROM reuse_use AS used
    JOIN tasks_claim AS claim ON claim.id = used.claim
    JOIN reuse_earning AS earning ON earning.use_id = used.id
    WHERE used.state = 'paid'
    GROUP BY used.id, claim.id, earning.author_id
    """,
)
register(ENDED_CLAIMS)
register(USES_PAID_BY_CLAIMS)
