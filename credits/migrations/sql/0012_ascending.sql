-- Legs in ascending order of their accounts. Then the accounts of a posting are found and locked in one scan of
-- their index, without a table of legs to sort and to join, and derived accounts are read in the same way.

-- What p_account gets of p_amounts, which belong to p_accounts in ascending order; found by bisection. Such a
-- function is written into the statement that calls it, and costs no call.
CREATE FUNCTION credits_leg(p_account bigint, p_accounts bigint[], p_amounts bigint[]) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_amounts[width_bucket(p_account, p_accounts)]
$$;

-- Derived accounts are those with ids below 1000, which the primary key finds as well.
DROP INDEX credits_account_derived;

-- Records one posting: p_amounts[i] goes to p_accounts[i]. p_ends names the escrow that the posting
-- ends: it must come to exactly zero, and is closed. Without p_amounts, everything that it holds goes
-- from it, p_accounts[1], to p_accounts[2]. Returns p_id, or the id of the first posting
-- when the request is a repetition. Whoever names the accounts in ascending order saves it from sorting them.
CREATE OR REPLACE FUNCTION credits_post(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_reverses uuid, p_accounts bigint[], p_amounts bigint[], p_ends bigint
) RETURNS uuid LANGUAGE plpgsql
-- Accounts are locked in the order in which the index has them: no other plan will do.
SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan SET credits.writing = 'on'
AS $$
DECLARE
    now_epoch integer;
    recognised timestamptz := pg_postmaster_start_time();
    asked boolean := false;
    -- For credits_check_entries, which needs no grouping then, and meets a missing leg before we do.
    writing text := set_config('credits.writing', concat('on', p_id, p_accounts), true);
    earlier uuid;
    held bigint;
    ascending boolean;
    named bigint;
    previous bigint := 0;
    written integer;
BEGIN
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
        ELSIF asked AND EXISTS (
            SELECT FROM credits_epoch AS life WHERE life.only_row AND life.server_started_at = recognised)
        THEN
            RAISE EXCEPTION 'the posting was taken back before, or the id is taken'
                USING ERRCODE = 'unique_violation', CONSTRAINT = CASE WHEN p_reverses IS NULL
                    THEN 'credits_posting_pkey' ELSE 'credits_posting_reversed_once' END;
        END IF;
        -- Most likely nobody has posted since the server started. Again, with what the row says then,
        -- until it says what was looked for: somebody else may be noting the start just now. What stands in
        -- the way after that is a rival under another name.
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
    -- credits_leg counts from 1, and bisects.
    ascending := array_lower(p_accounts, 1) = 1 AND array_lower(p_amounts, 1) = 1;
    IF ascending THEN
        FOREACH named IN ARRAY p_accounts LOOP
            ascending := ascending AND named > previous;
            previous := named;
        END LOOP;
    END IF;
    IF ascending IS NOT TRUE THEN
        SELECT array_agg(account ORDER BY account), array_agg(amount ORDER BY account)
        INTO p_accounts, p_amounts FROM unnest(p_accounts, p_amounts) AS leg (account, amount);
        IF array_position(p_accounts, NULL) IS NOT NULL THEN
            PERFORM credits_refuse_names(p_accounts);
        END IF;
    END IF;
    WITH moved AS (
        UPDATE credits_account AS account SET
            balance = CASE
                WHEN account.closed_at IS NOT NULL
                    OR account.balance + credits_leg(account.id, p_accounts, p_amounts)
                        NOT BETWEEN account.floor AND 1000000000000000000
                    OR (account.id = p_ends
                        AND account.balance + credits_leg(account.id, p_accounts, p_amounts) <> 0)
                THEN credits_refuse(account.id, credits_leg(account.id, p_accounts, p_amounts), account.balance,
                                    account.floor, account.closed_at, p_ends)
                ELSE account.balance + credits_leg(account.id, p_accounts, p_amounts) END,
            seq = account.seq + 1,
            room = NULL,
            -- Evaluated again when the row was waited for: the clock is read under the lock.
            posted_at = greatest(clock_timestamp(), account.posted_at),
            closed_at = CASE WHEN account.id = p_ends
                THEN greatest(clock_timestamp(), account.posted_at) END
        WHERE account.id = ANY (p_accounts) AND account.id >= 1000
        -- All columns, as the types that they have below: what is moved is then copied without a step between.
        RETURNING p_id AS posting, account.id, credits_leg(account.id, p_accounts, p_amounts) AS amount,
            account.seq::bigint, account.balance::bigint, account.posted_at, now_epoch AS epoch
    )
    INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, created_at, epoch)
    SELECT posting, id, amount, seq, balance, posted_at, epoch FROM moved
    UNION ALL
    SELECT p_id, id, credits_leg(id, p_accounts, p_amounts), NULL, NULL, clock_timestamp(), now_epoch
    FROM credits_account WHERE id = ANY (p_accounts) AND id < 1000;
    GET DIAGNOSTICS written = ROW_COUNT;
    -- An unknown account is passed by, and one that is named twice is taken once. What is left may add up to
    -- zero, or be nothing.
    IF written IS DISTINCT FROM cardinality(p_accounts) THEN
        PERFORM credits_refuse_names(p_accounts);
    END IF;
    RETURN p_id;
END $$;

-- Ends the escrow of p_work: pays p_amounts[i] to p_accounts[i], which together are all that is held.
-- The amount debited is the sum of the parts, and credits_post refuses unless that leaves zero; so
-- the escrow needs no lock before its turn in the ascending order.
CREATE OR REPLACE FUNCTION credits_settle(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    escrow bigint;
    parts bigint := 0;
    part bigint;
BEGIN
    -- Cheaper than as a value in the declaration, which is a query around this one.
    SELECT id INTO escrow FROM credits_account WHERE kind = 'escrow' AND reference = p_work;
    IF escrow IS NULL THEN
        PERFORM credits_refuse_escrow(p_work);
    ELSIF escrow = ANY (p_accounts) THEN
        PERFORM credits_refuse_twice(escrow);
    END IF;
    FOREACH part IN ARRAY p_amounts LOOP
        parts := parts + part;
    END LOOP;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL,
                        p_accounts || escrow, p_amounts || -parts, escrow);
END $$;

-- Replaced, a function forgets what 0005 set, and PostgreSQL lets everybody call a new one. Written last, a
-- temporary schema is searched last.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION credits_settle(uuid, text, text, bytea, text, text, text, bigint[], bigint[])'
        ' SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION credits_leg(bigint, bigint[], bigint[]) FROM PUBLIC;
