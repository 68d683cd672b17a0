-- Cheaper postings again. Which entries are one posting's is known from the start, so their sum needs no
-- grouping; legs are rows without a table of their own in between; and whether a derived account is known is
-- asked inside the statement that writes.

-- Every INSERT of entries holds whole postings. Nearly always it is one, and credits.writing says which: behind
-- 'on' stand its id and the accounts of its legs. Entries are grouped only where it does not say, or is wrong
-- about one of them, or they do not add up. Where a leg of a posting is missing, its name is what is wrong, and
-- not what the others add up to.
CREATE OR REPLACE FUNCTION credits_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    writing text := current_setting('credits.writing');
    posting text := substr(writing, 3, 36);
    balanced boolean;
    wrong record;
    named bigint[];
BEGIN
    -- A posting that was under way when this function came names its accounts only.
    IF posting <> '' AND NOT starts_with(posting, '{') THEN
        SELECT sum(amount) = 0 AND bool_and(posting_id = posting::uuid) INTO balanced FROM new_entries;
        -- No entry moves nothing, so what adds up to zero is two entries or more.
        IF balanced THEN
            RETURN NULL;
        END IF;
    END IF;
    SELECT sum(amount) AS total, count(*) AS entries INTO wrong FROM new_entries
    GROUP BY posting_id HAVING sum(amount) <> 0 OR count(*) < 2;
    IF FOUND THEN
        named := nullif(substr(writing, 39), '');
        IF cardinality(named) <> wrong.entries THEN
            PERFORM credits_refuse_names(named);
        END IF;
        RAISE EXCEPTION 'the entries of a posting add up to zero' USING ERRCODE = 'HL005',
            DETAIL = json_build_object('total', wrong.total);
    END IF;
    RETURN NULL;
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
    -- For credits_check_entries, which needs no grouping then, and meets a missing leg before we do.
    writing text := set_config('credits.writing', concat('on', p_id, p_accounts), true);
    earlier uuid;
    held bigint;
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
    WITH moved AS (
        UPDATE credits_account AS account SET
            balance = CASE
                WHEN account.closed_at IS NOT NULL
                    OR account.balance + leg.amount NOT BETWEEN account.floor AND 1000000000000000000
                    OR (account.id = p_ends AND account.balance + leg.amount <> 0)
                THEN credits_refuse(account.id, leg.amount, account.balance, account.floor,
                                    account.closed_at, p_ends)
                ELSE account.balance + leg.amount END,
            seq = account.seq + 1,
            room = NULL,
            -- Evaluated again when the row was waited for: the clock is read under the lock.
            posted_at = greatest(clock_timestamp(), account.posted_at),
            closed_at = CASE WHEN account.id = p_ends
                THEN greatest(clock_timestamp(), account.posted_at) END
        FROM (
            SELECT unnest(p_accounts) AS account, unnest(p_amounts) AS amount ORDER BY account
        ) AS leg
        WHERE account.id = leg.account AND account.id >= 1000
        -- All columns, as the types that they have below: what is moved is then copied without a step between.
        RETURNING p_id AS posting, account.id, leg.amount, account.seq::bigint, account.balance::bigint,
            account.posted_at, now_epoch AS epoch
    )
    INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, created_at, epoch)
    SELECT posting, id, amount, seq, balance, posted_at, epoch FROM moved
    UNION ALL
    SELECT p_id, account, amount, NULL::bigint, NULL::bigint, clock_timestamp(), now_epoch
    FROM (SELECT unnest(p_accounts) AS account, unnest(p_amounts) AS amount) AS leg
    -- The known ones are looked up when the first leg below 1000 comes.
    WHERE account < 1000 AND account = ANY (ARRAY(SELECT id FROM credits_account WHERE id < 1000));
    GET DIAGNOSTICS written = ROW_COUNT;
    -- An UPDATE passes an unknown account by, and takes a row once, however often it is joined. What is left
    -- may add up to zero, or be nothing.
    IF written IS DISTINCT FROM cardinality(p_accounts) THEN
        PERFORM credits_refuse_names(p_accounts);
    END IF;
    RETURN p_id;
END $$;
