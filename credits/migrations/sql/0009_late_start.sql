-- Two things that 0007 got wrong. Who found somebody else noting the start of the server, and looked again as
-- that one committed, found neither what the row had said nor what it said now, and was told of a rival that
-- there was none. And an account without a name among the legs, beside a derived one, made their number
-- unknown: the posting was recorded, and its entries were not.
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
            derived_legs := derived_legs + coalesce((named < 1000)::integer, 0);
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
