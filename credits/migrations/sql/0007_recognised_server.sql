-- Cheaper postings, once more. Every posting asked pg_control_system() whether the database was restored
-- into another cluster, and that function reads a file. A server belongs to one cluster for as long as it
-- runs, so it is enough to ask once after each start.

ALTER TABLE credits_epoch ADD COLUMN server_started_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN credits_epoch.server_started_at IS
    'The start of the server that was last recognised as the one of system_identifier. A restored copy '
    'brings the start of another one along, so it is asked again.';

-- By its index, wherever a posting reads this row: with sequential scans off, before PostgreSQL 18 one
-- would look so dear that every call were compiled (JIT), which takes a tenth of a second.
CREATE OR REPLACE FUNCTION xid_epoch() RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    life credits_epoch;
BEGIN
    SELECT * INTO life FROM credits_epoch WHERE only_row;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the epoch was raised just now' USING ERRCODE = 'serialization_failure',
            HINT = 'Run the transaction again.';
    ELSIF life.system_identifier <> (SELECT system_identifier FROM pg_control_system()) THEN
        RAISE EXCEPTION 'this database was restored into another cluster, whose transaction ids start anew'
            USING ERRCODE = 'HL011', DETAIL = json_build_object('epoch', life.epoch),
            HINT = 'Run SELECT credits_raise_epoch() once, as the owner of the database.';
    END IF;
    RETURN life.epoch;
END $$;

-- Makes sure that the server belongs to the cluster of the epoch, notes its start, and returns what the row
-- says of it now. Who finds somebody else noting it does not wait for their transaction to end.
CREATE FUNCTION credits_recognise_server() RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM xid_epoch();
    UPDATE credits_epoch SET server_started_at = pg_postmaster_start_time()
    WHERE only_row IN (SELECT only_row FROM credits_epoch WHERE only_row FOR NO KEY UPDATE SKIP LOCKED);
    RETURN (SELECT server_started_at FROM credits_epoch WHERE only_row);
END $$;
REVOKE ALL ON FUNCTION credits_recognise_server() FROM PUBLIC;

-- Why a posting moved fewer accounts than it has legs.
CREATE OR REPLACE FUNCTION credits_refuse_names(p_accounts bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    unknown bigint := (
        SELECT named FROM unnest(p_accounts) AS named
        WHERE NOT EXISTS (SELECT FROM credits_account WHERE id = named) ORDER BY named LIMIT 1);
BEGIN
    IF unknown IS NOT NULL OR array_position(p_accounts, NULL) IS NOT NULL THEN
        PERFORM credits_refuse_unknown(unknown);
    END IF;
    PERFORM credits_refuse_twice((
        SELECT named FROM unnest(p_accounts) AS named GROUP BY named HAVING count(*) > 1 LIMIT 1));
END $$;

-- credits_post for everybody: it ends no escrow and names no posting that it takes back.
CREATE OR REPLACE FUNCTION credits_post(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    -- The trigger on entries sees a posting by its entries, so it cannot see one that has none.
    IF cardinality(p_accounts) < 2 IS NOT FALSE OR p_amounts IS NULL THEN
        PERFORM credits_refuse_too_few();
    END IF;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL, p_accounts, p_amounts,
                        NULL);
END $$;

-- Records one posting: p_amounts[i] goes to p_accounts[i]. p_ends names the escrow that the posting
-- ends: it must come to exactly zero, and is closed. Without p_amounts, everything that it holds goes
-- from it, p_accounts[1], to p_accounts[2]. Returns p_id, or the id of the first posting
-- when the request is a repetition.
CREATE OR REPLACE FUNCTION credits_post(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_reverses uuid, p_accounts bigint[], p_amounts bigint[], p_ends bigint
) RETURNS uuid LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan SET credits.writing = 'on'
AS $$
DECLARE
    now_epoch integer;
    recognised timestamptz := pg_postmaster_start_time();
    asked boolean := false;
    derived_legs integer := 0;
    named bigint;
    earlier uuid;
    held bigint;
BEGIN
    IF 1000 > ANY (p_accounts) THEN
        FOREACH named IN ARRAY p_accounts LOOP
            derived_legs := derived_legs + (named < 1000)::integer;
        END LOOP;
    END IF;
    LOOP
        -- Waits for a rival with the same reference until it has committed or failed.
        INSERT INTO credits_posting (id, reference, kind, digest, memo, subject, reverses, epoch)
        SELECT p_id, p_reference, p_kind, p_digest, p_memo, p_subject, p_reverses, life.epoch
        FROM credits_epoch AS life WHERE life.only_row AND life.server_started_at = recognised
        -- Any conflict: which of the indexes meets a rival first is not said, and a rival with the same
        -- reversal meets both.
        ON CONFLICT DO NOTHING
        RETURNING epoch INTO now_epoch;
        EXIT WHEN FOUND;
        earlier := credits_replayed(p_reference, p_digest, p_ends);
        IF earlier IS NOT NULL THEN
            RETURN earlier;
        ELSIF asked THEN
            RAISE EXCEPTION 'the posting was taken back before, or the id is taken'
                USING ERRCODE = 'unique_violation', CONSTRAINT = CASE WHEN p_reverses IS NULL
                    THEN 'credits_posting_pkey' ELSE 'credits_posting_reversed_once' END;
        END IF;
        -- Most likely nobody has posted since the server started. Once more, with what the row says then;
        -- what stands in the way after that is a rival under another name.
        recognised := credits_recognise_server();
        asked := true;
    END LOOP;
    IF p_amounts IS NULL THEN
        -- How much is held is known only under the lock, and the first row in ascending id may be
        -- the one that receives it: so both are locked first. Only here, and after the reference
        -- like everywhere: a refund that locked accounts before it would deadlock with a settlement.
        PERFORM FROM credits_account WHERE id = ANY (p_accounts) AND mode = 'stored'
        ORDER BY id FOR NO KEY UPDATE;
        SELECT balance INTO held FROM credits_account WHERE id = p_ends;
        IF held = 0 THEN
            PERFORM credits_refuse_escrow((SELECT reference FROM credits_account WHERE id = p_ends));
        END IF;
        p_amounts := ARRAY[-held, held];
    END IF;
    WITH leg AS MATERIALIZED (
        SELECT account, amount FROM unnest(p_accounts, p_amounts) AS leg (account, amount)
        ORDER BY account
    ), moved AS (
        UPDATE credits_account AS account SET
            balance = CASE
                WHEN account.closed_at IS NOT NULL
                    OR account.balance + leg.amount NOT BETWEEN account.floor AND 1000000000000000000
                    OR (account.id = p_ends AND account.balance + leg.amount <> 0)
                THEN credits_refuse(account.id, leg.amount, account.balance, account.floor,
                                    account.closed_at, p_ends)
                ELSE account.balance + leg.amount END,
            seq = account.seq + 1,
            -- Evaluated again when the row was waited for: the clock is read under the lock.
            posted_at = greatest(clock_timestamp(), account.posted_at),
            closed_at = CASE WHEN account.id = p_ends
                THEN greatest(clock_timestamp(), account.posted_at) END
        FROM leg WHERE account.id = leg.account AND account.id >= 1000
        RETURNING account.id, leg.amount, account.seq, account.balance, account.posted_at
    )
    INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, created_at, epoch)
    SELECT p_id, id, amount, seq, balance, posted_at, now_epoch FROM moved
    UNION ALL
    SELECT p_id, coalesce(derived.id, credits_refuse_unknown(leg.account)), leg.amount, NULL, NULL,
        clock_timestamp(), now_epoch
    FROM leg LEFT JOIN credits_account AS derived ON derived.id = leg.account
    WHERE derived_legs > 0 AND leg.account < 1000
    UNION ALL
    -- An UPDATE passes an unknown account by, and takes a row once, however often it is joined. This
    -- finds it before the rest is found not to balance, or does balance.
    SELECT p_id, credits_refuse_names(p_accounts), NULL, NULL, NULL, NULL, NULL
    WHERE (SELECT count(*) FROM moved) + derived_legs <> cardinality(p_accounts);
    RETURN p_id;
END $$;

-- Replaced, a function forgets what 0005 set. Written last, a temporary schema is searched last.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION credits_post(uuid, text, text, bytea, text, text, bigint[], bigint[])'
        ' SET search_path = %I, pg_temp', current_schema());
END $$;
