-- The functions as 0001 made them.
CREATE OR REPLACE FUNCTION credits_statement(
    p_account bigint, p_before bigint, p_limit integer, p_kinds text[], p_since timestamptz,
    p_until timestamptz
) RETURNS TABLE (
    posting_id uuid, kind text, amount bigint, balance_after bigint, subject text, memo text,
    created_at timestamptz, seq bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    account_mode text := (SELECT account.mode FROM credits_account AS account WHERE account.id = p_account);
    above bigint := 0;
    below bigint := coalesce(p_before, 9223372036854775807);
BEGIN
    IF account_mode IS NULL THEN
        RAISE EXCEPTION 'no account %', p_account
            USING ERRCODE = 'HL003', DETAIL = json_build_object('account', p_account);
    ELSIF account_mode = 'stored' THEN
        IF p_since IS NOT NULL THEN
            above := credits_seq_before(p_account, p_since);
        END IF;
        IF p_until IS NOT NULL THEN
            below := least(below, credits_seq_before(p_account, p_until) + 1);
        END IF;
        RETURN QUERY
        SELECT entry.posting_id, posting.kind, entry.amount, entry.balance_after, posting.subject,
            posting.memo, entry.created_at, entry.seq
        FROM credits_entry AS entry JOIN credits_posting AS posting ON posting.id = entry.posting_id
        WHERE entry.account_id = p_account AND entry.seq > above AND entry.seq < below
            AND (p_kinds IS NULL OR posting.kind = ANY (p_kinds))
        ORDER BY entry.seq DESC LIMIT p_limit;
    ELSE
        RETURN QUERY
        SELECT line.posting_id, posting.kind, line.amount, line.balance, posting.subject,
            posting.memo, line.created_at, line.number
        FROM (
            SELECT entry.posting_id, entry.amount, entry.created_at, row_number() OVER so_far AS number,
                (sum(entry.amount) OVER so_far)::bigint AS balance
            FROM credits_entry AS entry
            WHERE entry.account_id = p_account AND entry.seq IS NULL AND (
                entry.epoch < xid_epoch() OR entry.xid < pg_snapshot_xmin(pg_current_snapshot()))
            WINDOW so_far AS (ORDER BY entry.epoch, entry.xid, entry.posting_id)
        ) AS line JOIN credits_posting AS posting ON posting.id = line.posting_id
        WHERE line.number < below
            AND (p_kinds IS NULL OR posting.kind = ANY (p_kinds))
            AND (p_since IS NULL OR line.created_at >= p_since)
            AND (p_until IS NULL OR line.created_at < p_until)
        ORDER BY line.number DESC LIMIT p_limit;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION credits_balance_at(p_account bigint, p_at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT CASE mode
        WHEN 'stored' THEN coalesce((
            SELECT balance_after FROM credits_entry WHERE account_id = id
                AND seq = credits_seq_before(id, p_at + interval '1 microsecond')), 0)
        ELSE (SELECT coalesce(sum(amount), 0)::bigint FROM credits_entry
            WHERE account_id = id AND seq IS NULL AND created_at <= p_at) END
    FROM credits_account WHERE id = p_account
$$;

CREATE OR REPLACE FUNCTION xid_epoch() RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    life credits_epoch;
BEGIN
    SELECT * INTO STRICT life FROM credits_epoch;
    IF life.system_identifier <> (SELECT system_identifier FROM pg_control_system()) THEN
        RAISE EXCEPTION 'this database was restored into another cluster, whose transaction ids start anew'
            USING ERRCODE = 'HL011', DETAIL = json_build_object('epoch', life.epoch),
            HINT = 'Run SELECT credits_raise_epoch() once, as the owner of the database.';
    END IF;
    RETURN life.epoch;
END $$;

-- From plpgsql to sql, which CREATE OR REPLACE allows as long as arguments and result stay.
CREATE OR REPLACE FUNCTION credits_raise_epoch() RETURNS integer LANGUAGE sql AS $$
    UPDATE credits_epoch SET epoch = epoch + 1,
        system_identifier = (SELECT system_identifier FROM pg_control_system())
    RETURNING epoch
$$;

DROP FUNCTION credits_derived_statement;
DROP FUNCTION credits_derived_balance_at;
DROP FUNCTION credits_derived_balance;
DROP FUNCTION credits_roll_up;
DROP TABLE credits_fold;
DROP FUNCTION credits_check_fold;
DROP FUNCTION credits_horizon;
DROP INDEX credits_account_derived;
