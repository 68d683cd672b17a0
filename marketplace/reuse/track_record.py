"""What authors stand for: uses of their assets that others paid for at once."""

from marketplace.standing.history import Source, register

# One row for an author however many of their versions a use rests on. What a use cost nobody says
# nothing, and has no earnings.
USES_PAID_AT_ONCE = Source(
    "uses_paid_at_once",
    """
    SELECT used.id AS source, used.id AS about, earning.author_id AS holder,
        'author_used' AS outcome, used.operator_id AS counterparty,
        sum(earning.amount)::bigint AS value, used.created_at AS at
    FROM reuse_use AS used
    JOIN reuse_earning AS earning ON earning.use_id = used.id
    WHERE used.state = 'paid' AND used.claim IS NULL
    GROUP BY used.id, earning.author_id
    """,
)
register(USES_PAID_AT_ONCE)
