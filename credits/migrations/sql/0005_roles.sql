-- The line between the ledger's public functions and its insides, for a role that owns nothing.
--
-- Public functions that write run with their owner's rights (SECURITY DEFINER), so that whoever calls
-- them needs none on the tables. They look names up in the ledger's schema, whatever the caller's
-- search_path says: a caller's temporary table must not stand in for one of the ledger's. Functions that
-- read run as their caller, who may read the tables anyway. credits/roles.py lists both kinds and gives
-- them to a role; what is not listed there is for the owner alone.
--
-- A later migration that replaces one of these functions says SECURITY DEFINER and its search_path again.

-- Given other arguments than Python gives them, the functions could record what an audit would have to find,
-- so they ask what a constraint or the trigger on entries cannot see.

-- credits_post for everybody: it ends no escrow and names no posting that it takes back. The functions of
-- escrows and the reversal go on to call the one of ten arguments, which is inside.
CREATE FUNCTION credits_post(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    -- The trigger on entries sees a posting by its entries, so it cannot see one that has none.
    IF cardinality(p_accounts) < 2 IS NOT FALSE OR p_amounts IS NULL THEN
        PERFORM credits_refuse_too_few();
    ELSIF array_position(p_accounts, NULL) IS NOT NULL THEN
        PERFORM credits_refuse_unknown(NULL);
    END IF;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL, p_accounts, p_amounts,
                        NULL);
END $$;

CREATE FUNCTION credits_refuse_too_few() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a posting has at least two legs' USING ERRCODE = 'HL015',
        DETAIL = json_build_object('code', 'too_few_legs', 'detail', 'a posting has at least two legs');
END $$;

-- Records many postings, all or nothing, as if one after the other: each floor is kept after each
-- posting. Leg i belongs to posting p_postings[i], counted from 1. Accounts are locked once each, in
-- ascending id over the whole batch. Returns the postings' ids in order; an id that differs from the
-- one given is that of an earlier posting, which this one repeats.
CREATE OR REPLACE FUNCTION credits_post_many(
    p_ids uuid[], p_references text[], p_kinds text[], p_digests bytea[], p_memos text[],
    p_subjects text[], p_postings integer[], p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid[] LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan SET credits.writing = 'on'
AS $$
DECLARE
    now_epoch integer := xid_epoch();
    began_at timestamptz := clock_timestamp();
    ids uuid[] := p_ids;
    written integer;
BEGIN
    -- Each has a leg, and is found by its number, which an array of another shape would not count from 1.
    IF array_ndims(p_ids) > 1 OR array_lower(p_ids, 1) <> 1 OR cardinality(p_ids) IS DISTINCT FROM (
        SELECT count(DISTINCT place) FROM unnest(p_postings) AS place
        WHERE place BETWEEN 1 AND cardinality(p_ids))
    THEN
        PERFORM credits_refuse_too_few();
    ELSIF array_position(p_accounts, NULL) IS NOT NULL THEN
        PERFORM credits_refuse_unknown(NULL);
    END IF;
    -- In the order of references, so that two batches that share some cannot wait for each other.
    INSERT INTO credits_posting (id, reference, kind, digest, memo, subject, epoch)
    SELECT given.id, given.reference, given.kind, given.digest, given.memo, given.subject, now_epoch
    FROM unnest(p_ids, p_references, p_kinds, p_digests, p_memos, p_subjects) WITH ORDINALITY
        AS given (id, reference, kind, digest, memo, subject, place)
    ORDER BY given.reference COLLATE "C", given.place
    ON CONFLICT (reference) DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written < cardinality(p_ids) THEN
        SELECT array_agg(credits_replayed(given.reference, given.digest, NULL) ORDER BY given.place) INTO ids
        FROM unnest(p_references, p_digests) WITH ORDINALITY AS given (reference, digest, place);
        -- Given the id of an older posting beside its reference and digest, what repeats it would look new.
        IF EXISTS (
            SELECT FROM credits_posting AS older WHERE older.id = ANY (p_ids)
                AND (older.xid <> pg_current_xact_id() OR older.created_at < began_at))
        THEN
            RAISE EXCEPTION 'the id of a new posting names a recorded one' USING ERRCODE = 'HL012',
                DETAIL = json_build_object('table', 'credits_posting');
        END IF;
    END IF;

    WITH leg AS MATERIALIZED (
        SELECT account, sum(amount)::bigint AS total, count(*) AS entries,
            array_agg(amount ORDER BY place) AS amounts, array_agg(place ORDER BY place) AS places
        FROM unnest(p_postings, p_accounts, p_amounts) AS leg (place, account, amount)
        WHERE ids[place] = p_ids[place]
        GROUP BY account ORDER BY account
    ), moved AS (
        UPDATE credits_account AS account SET
            balance = CASE
                WHEN account.closed_at IS NOT NULL
                    OR account.balance + leg.total NOT BETWEEN account.floor AND 1000000000000000000
                THEN credits_refuse(account.id, leg.total, account.balance, account.floor,
                                    account.closed_at, NULL)
                ELSE account.balance + leg.total END,
            seq = account.seq + leg.entries,
            posted_at = greatest(clock_timestamp(), account.posted_at)
        FROM leg WHERE account.id = leg.account AND account.id >= 1000
        RETURNING account.id, account.balance - leg.total AS balance_before,
            account.seq - leg.entries AS seq_before, account.floor, account.posted_at,
            leg.places, leg.amounts
    ), running AS MATERIALIZED (
        SELECT moved.id, step.place, step.amount, moved.seq_before + step.nth AS seq, moved.floor,
            moved.posted_at, moved.balance_before
                + sum(step.amount) OVER (PARTITION BY moved.id ORDER BY step.nth)::bigint AS balance
        FROM moved, unnest(moved.places, moved.amounts) WITH ORDINALITY AS step (place, amount, nth)
    )
    INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, created_at, epoch)
    SELECT p_ids[place], id, amount, seq,
        CASE WHEN balance NOT BETWEEN floor AND 1000000000000000000
            THEN credits_refuse(id, amount, balance - amount, floor, NULL, NULL) ELSE balance END,
        posted_at, now_epoch
    FROM running
    UNION ALL
    SELECT p_ids[step.place], coalesce(derived.id, credits_refuse_unknown(leg.account)), step.amount,
        NULL, NULL, clock_timestamp(), now_epoch
    FROM leg LEFT JOIN credits_account AS derived ON derived.id = leg.account,
        unnest(leg.places, leg.amounts) AS step (place, amount)
    WHERE leg.account < 1000
    UNION ALL
    SELECT NULL, credits_refuse_names(p_accounts), NULL, NULL, NULL, NULL, NULL
    WHERE (SELECT count(*) FROM moved) <> (SELECT count(*) FROM leg WHERE leg.account >= 1000);
    RETURN ids;
END $$;

-- The next block. False where somebody else has written it.
CREATE FUNCTION credits_add_seal(
    p_number bigint, p_previous bytea, p_root bytea, p_hash bytea, p_entries integer, p_salt bytea,
    p_upto_epoch integer, p_upto_xid xid8, p_upto_posting uuid, p_upto_account bigint, p_sealed_at timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO credits_seal (number, previous, root, hash, entries, salt, upto_epoch, upto_xid, upto_posting,
        upto_account, sealed_at)
    VALUES (p_number, p_previous, p_root, p_hash, p_entries, p_salt, p_upto_epoch, p_upto_xid, p_upto_posting,
        p_upto_account, p_sealed_at)
    -- Of two sealers of one block the later meets its number, its end, or both.
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

DO $$
DECLARE
    call regprocedure;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'credits_open_account(text, uuid, text, bigint)',
        'credits_close_account(bigint)',
        'credits_post(uuid, text, text, bytea, text, text, bigint[], bigint[])',
        'credits_post_many(uuid[], text[], text[], bytea[], text[], text[], integer[], bigint[], bigint[])',
        'credits_reverse(uuid, uuid, text, bytea, text)',
        'credits_fund(uuid, text, text, bytea, text, text, text, uuid, bigint, bigint)',
        'credits_allocate(uuid, text, text, bytea, text, text, text, text, uuid, bigint)',
        'credits_withdraw(uuid, text, text, bytea, text, text, text, bigint, bigint)',
        'credits_settle(uuid, text, text, bytea, text, text, text, bigint[], bigint[])',
        'credits_refund(uuid, text, text, bytea, text, text, text, bigint)',
        'credits_roll_up(bigint, bigint, bigint)',
        'credits_add_seal(bigint, bytea, bytea, bytea, integer, bytea, integer, xid8, uuid, bigint, timestamptz)'
    ]::regprocedure[] LOOP
        -- Written last, a temporary schema is searched last; left out, it would be searched first.
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp',
            call, current_schema());
    END LOOP;
    -- PostgreSQL lets everybody call a new function.
    FOR call IN
        SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
            AND (starts_with(proname, 'credits_') OR proname = 'xid_epoch')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', call);
    END LOOP;
END $$;
