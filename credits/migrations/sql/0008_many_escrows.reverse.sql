DROP FUNCTION credits_settle_many;
DROP FUNCTION credits_allocate_many;
DROP FUNCTION credits_fund_many;
DROP FUNCTION credits_escrows_of;

-- As 0005 made it.
CREATE OR REPLACE FUNCTION credits_post_many(
    p_ids uuid[], p_references text[], p_kinds text[], p_digests bytea[], p_memos text[],
    p_subjects text[], p_postings integer[], p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid[] LANGUAGE plpgsql SECURITY DEFINER
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
DROP FUNCTION credits_post_many(
    uuid[], text[], text[], bytea[], text[], text[], integer[], bigint[], bigint[], bigint[], bigint[]);

-- Replaced, a function forgets what 0005 set. Written last, a temporary schema is searched last.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION credits_post_many('
        'uuid[], text[], text[], bytea[], text[], text[], integer[], bigint[], bigint[])'
        ' SET search_path = %I, pg_temp', current_schema());
END $$;
