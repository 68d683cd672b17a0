-- Legs in ascending order of their accounts. Then the accounts of a posting are found and locked in one scan of
-- their index, without a table of legs to sort and to join, and derived accounts are read in the same way. Two
-- things less are set up for each posting: whether its id or what it takes back is known is asked by the
-- constraints alone, and the check of entries also asks who writes them.

-- What p_account gets of p_amounts, which belong to p_accounts in ascending order; found by bisection. Such a
-- function is written into the statement that calls it, and costs no call.
CREATE FUNCTION credits_leg(p_account bigint, p_accounts bigint[], p_amounts bigint[]) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_amounts[width_bucket(p_account, p_accounts)]
$$;

CREATE FUNCTION credits_refuse_writer(p_table name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is written by the ledger''s functions alone', p_table
        USING ERRCODE = 'HL012', DETAIL = json_build_object('table', p_table);
END $$;

-- Who writes says 'on' in credits.writing; credits_check_entries says what may stand behind it.
CREATE OR REPLACE FUNCTION credits_refuse_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF starts_with(current_setting('credits.writing', true), 'on') IS NOT TRUE THEN
        PERFORM credits_refuse_writer(TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$;

-- Every INSERT of entries is one of the ledger's functions', and holds whole postings. Nearly always it is one
-- posting, and credits.writing says which: behind 'on' stand its id and the accounts of its legs. Entries are
-- grouped only where it does not say, or is wrong about one of them, or they do not add up. Where a leg of a
-- posting is missing, its name is what is wrong, and not what the others add up to.
CREATE OR REPLACE FUNCTION credits_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    writing text := current_setting('credits.writing', true);
    posting text := substr(writing, 3, 36);
    balanced boolean;
    wrong record;
    named bigint[];
BEGIN
    IF starts_with(writing, 'on') IS NOT TRUE THEN
        PERFORM credits_refuse_writer(TG_TABLE_NAME);
    END IF;
    -- A posting that was under way when 0011 came names its accounts only.
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
DROP TRIGGER credits_entry_is_made_by_function ON credits_entry;

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
    -- For credits_check_entries, which needs no grouping then, and meets a missing leg before we do.
    writing text := set_config('credits.writing', concat('on', p_id, p_accounts), true);
    earlier uuid;
    held bigint;
    ascending boolean;
    written integer;
BEGIN
    LOOP
        -- Waits for a rival with the same reference until it has committed or failed.
        INSERT INTO credits_posting (id, reference, kind, digest, memo, subject, reverses, epoch)
        SELECT p_id, p_reference, p_kind, p_digest, p_memo, p_subject, p_reverses, life.epoch
        FROM credits_epoch AS life WHERE life.only_row AND life.server_started_at = recognised
        ON CONFLICT (reference) DO NOTHING
        RETURNING epoch INTO now_epoch;
        EXIT WHEN FOUND;
        earlier := credits_replayed(p_reference, p_digest, p_ends);
        IF earlier IS NOT NULL THEN
            RETURN earlier;
        END IF;
        -- Most likely nobody has posted since the server started. Again, with what the row says then,
        -- until it says what was looked for: somebody else may be noting the start just now.
        recognised := credits_recognise_server();
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
    FOR place IN 2 .. coalesce(cardinality(p_accounts), 0) LOOP
        ascending := ascending AND p_accounts[place] > p_accounts[place - 1];
    END LOOP;
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

-- Takes a posting back, once: posts its entries with their signs turned. Who takes the same one back at the
-- same time waits, so that a repetition meets the reference and not the constraint.
CREATE OR REPLACE FUNCTION credits_reverse(
    p_id uuid, p_posting uuid, p_reference text, p_digest bytea, p_memo text
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    about text;
    accounts bigint[];
    amounts bigint[];
BEGIN
    SELECT subject INTO about FROM credits_posting WHERE id = p_posting FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no posting %', p_posting
            USING ERRCODE = 'HL014', DETAIL = json_build_object('posting', p_posting);
    END IF;
    SELECT array_agg(account_id ORDER BY account_id), array_agg(-amount ORDER BY account_id)
    INTO accounts, amounts FROM credits_entry WHERE posting_id = p_posting;
    RETURN credits_post(p_id, p_reference, 'reversal', p_digest, p_memo, about, p_posting,
                        accounts, amounts, NULL);
END $$;

-- Replaced, a function forgets what 0005 set, and PostgreSQL lets everybody call a new one. Written last, a
-- temporary schema is searched last.
DO $$
DECLARE
    call regprocedure;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'credits_settle(uuid, text, text, bytea, text, text, text, bigint[], bigint[])',
        'credits_reverse(uuid, uuid, text, bytea, text)'
    ]::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', call, current_schema());
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION credits_leg(bigint, bigint[], bigint[]), credits_refuse_writer(name) FROM PUBLIC;
