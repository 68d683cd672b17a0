"""What a role that does not own the ledger may do with it: read its tables, call its functions.

The role that owns the database runs migrations, restores dumps and raises the epoch. A program
connects as another one, which `restrict` lets in: it cannot change, add or remove a row but
through the functions of `WRITES`, and these keep the books whatever they are called with.
"""

from django.db import DEFAULT_DB_ALIAS, connections

WRITES = (
    "credits_open_account(text, uuid, text, bigint)",
    "credits_close_account(bigint)",
    "credits_post(uuid, text, text, bytea, text, text, bigint[], bigint[])",
    (
        "credits_post_many(uuid[], text[], text[], bytea[], text[], text[], integer[], bigint[],"
        " bigint[])"
    ),
    "credits_reverse(uuid, uuid, text, bytea, text)",
    "credits_fund(uuid, text, text, bytea, text, text, text, uuid, bigint, bigint)",
    "credits_allocate(uuid, text, text, bytea, text, text, text, text, uuid, bigint)",
    "credits_fund_many(uuid, text, text, bytea, text, text, text[], uuid, bigint, bigint[])",
    "credits_allocate_many(uuid, text, text, bytea, text, text, text, text[], uuid, bigint[])",
    "credits_withdraw(uuid, text, text, bytea, text, text, text, bigint, bigint)",
    "credits_settle(uuid, text, text, bytea, text, text, text, bigint[], bigint[])",
    (
        "credits_settle_many(uuid[], text[], text[], bytea[], text[], text[], text[], integer[],"
        " bigint[], bigint[], text[])"
    ),
    "credits_refund(uuid, text, text, bytea, text, text, text, bigint)",
    "credits_roll_up(bigint, bigint, bigint)",
    (
        "credits_add_seal(bigint, bytea, bytea, bytea, integer, bytea, integer, xid8, uuid, bigint,"
        " timestamp with time zone)"
    ),
    "credits_stop_writing(text, text)",
    "credits_resume_writing(text, text)",
)
"""The public functions that write, with the rights of their owner (SECURITY DEFINER)."""

READS = (
    "xid_epoch()",
    "credits_horizon()",
    "credits_derived_balance(bigint)",
    "credits_derived_balance_at(bigint, timestamp with time zone)",
    "credits_balance_at(bigint, timestamp with time zone)",
    "credits_seq_before(bigint, timestamp with time zone)",
    (
        "credits_statement(bigint, bigint, integer, text[], timestamp with time zone,"
        " timestamp with time zone)"
    ),
    (
        "credits_derived_statement(bigint, bigint, integer, text[], timestamp with time zone,"
        " timestamp with time zone)"
    ),
    "credits_in_order(integer, xid8, uuid, bigint, integer)",
)
"""The public functions that read, as whoever calls them."""

# Everything of the ledger's; a function by its name and types, as `WRITES` and `READS` have it.
_FUNCTIONS = """
    SELECT oid, oid::regprocedure::text AS name,
        proname || '(' || oidvectortypes(proargtypes) || ')' = ANY (%(public)s) AS is_public
    FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
        AND (starts_with(proname, 'credits_') OR proname = 'xid_epoch')
"""
_TABLES = """
    SELECT oid, oid::regclass::text AS name, relkind = 'S' AS is_sequence
    FROM pg_class WHERE relnamespace = current_schema()::regnamespace
        AND starts_with(relname, 'credits_') AND relkind IN ('r', 'p', 'v', 'm', 'S')
"""
_STATEMENTS = f"""
    WITH function AS ({_FUNCTIONS}), tables AS ({_TABLES})
    SELECT format('REVOKE ALL ON FUNCTION %%s FROM PUBLIC, %%I', string_agg(name, ', '), %(role)s)
    FROM function HAVING count(*) > 0
    UNION ALL
    SELECT format('GRANT EXECUTE ON FUNCTION %%s TO %%I', string_agg(name, ', '), %(role)s)
    FROM function WHERE is_public HAVING count(*) > 0
    UNION ALL
    SELECT format('REVOKE ALL ON %%s FROM PUBLIC, %%I', string_agg(name, ', '), %(role)s)
    FROM tables WHERE NOT is_sequence HAVING count(*) > 0
    UNION ALL
    SELECT format('REVOKE ALL ON SEQUENCE %%s FROM PUBLIC, %%I', string_agg(name, ', '), %(role)s)
    FROM tables WHERE is_sequence HAVING count(*) > 0
    UNION ALL
    SELECT format('GRANT SELECT ON %%s TO %%I', string_agg(name, ', '), %(role)s)
    FROM tables WHERE NOT is_sequence HAVING count(*) > 0
"""  # noqa: S608 - the constants above
_POWERS = f"""
    WITH function AS ({_FUNCTIONS}), tables AS ({_TABLES}),
        asked (role) AS (SELECT coalesce(%(role)s::name, current_user))
    SELECT name FROM tables, asked
    WHERE has_table_privilege(role, oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
        OR NOT is_sequence AND has_any_column_privilege(role, oid, 'INSERT, UPDATE')
    UNION ALL
    SELECT name FROM function, asked
    WHERE NOT is_public AND has_function_privilege(role, oid, 'EXECUTE')
    ORDER BY 1
"""  # noqa: S608 - the constants above


class RoleTooPowerful(Exception):
    """What was taken from a role it has all the same.

    Attributes:
        role: Its name.
        powers: The tables that it can change and the internal functions that it can call.
    """

    def __init__(self, *, role: str, powers: list[str]) -> None:
        super().__init__(
            f"the role {role} still has rights on {', '.join(powers)}: it is a superuser, owns them"
            " or is a member of a role that has them. Let the application connect as another one."
        )
        self.role = role
        self.powers = powers


def restrict(role: str, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Let *role* read the ledger and call its public functions, and take everything else from it.

    Run it after every migration, as the owner: tables and functions are made without rights for
    anybody else. What PUBLIC may do is withdrawn as well.

    Args:
        role: A role of the cluster; not the owner.
        using: The connection of the owner.

    Raises:
        RoleTooPowerful: A superuser, or a member of the owner, cannot be restricted.

    Transaction: the caller's, or none. Locks: none that postings wait for.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(_STATEMENTS, {"role": role, "public": [*WRITES, *READS]})
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
    found = powers(role, using=using)
    if found:
        raise RoleTooPowerful(role=role, powers=found)


def powers(role: str | None = None, *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Return what *role* may do beyond what `restrict` leaves it; nothing when it is restricted.

    Args:
        role: A role of the cluster; None for the one that is connected.
        using: The connection to ask.

    Returns:
        The tables that it can write to, and the internal functions that it can call.

    Round trips: one.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(_POWERS, {"role": role, "public": [*WRITES, *READS]})
        return [name for (name,) in cursor.fetchall()]
