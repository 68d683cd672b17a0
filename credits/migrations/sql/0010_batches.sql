-- Many postings at once give rooms back as well. And a batch tells one account and one amount for each leg: who
-- told no account at all recorded postings without entries.

-- Records many postings, all or nothing, as if one after the other: each floor is kept after each
-- posting. Leg i belongs to posting p_postings[i], counted from 1. Posting i ends the escrow p_ends[i], where
-- it names one: it leaves it at exactly zero, and closed to what follows. The escrows p_empty end after
-- everything else, by no posting, and hold nothing then. Accounts are locked once each, in ascending id over
-- the whole batch. Returns the postings' ids in order; an id that differs from the one given is that of an
-- earlier posting, which this one repeats.
CREATE OR REPLACE FUNCTION credits_post_many(
    p_ids uuid[], p_references text[], p_kinds text[], p_digests bytea[], p_memos text[],
    p_subjects text[], p_postings integer[], p_accounts bigint[], p_amounts bigint[], p_ends bigint[],
    p_empty bigint[]
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
        OR cardinality(p_accounts) IS DISTINCT FROM cardinality(p_postings)
        OR cardinality(p_amounts) IS DISTINCT FROM cardinality(p_postings)
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
        SELECT array_agg(credits_replayed(given.reference, given.digest, p_ends[given.place])
                         ORDER BY given.place) INTO ids
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

    WITH given AS (
        SELECT account, amount, place, CASE WHEN account = p_ends[place] THEN place END AS ended
        FROM unnest(p_postings, p_accounts, p_amounts) AS leg (place, account, amount)
        WHERE ids[place] = p_ids[place]
        UNION ALL
        SELECT account, 0, NULL, 2147483647 FROM unnest(p_empty) AS account
    ), leg AS MATERIALIZED (
        -- Which posting ends it, if any, and what that takes from it.
        SELECT account, max(ended) AS ended, (sum(amount) FILTER (WHERE ended > 0))::bigint AS parts,
            sum(amount)::bigint AS total, count(place) AS entries,
            array_agg(amount ORDER BY place) AS amounts, array_agg(place ORDER BY place) AS places
        FROM given GROUP BY account ORDER BY account
    ), moved AS (
        UPDATE credits_account AS account SET
            balance = CASE
                WHEN account.closed_at IS NOT NULL
                    OR account.balance + leg.total NOT BETWEEN account.floor AND 1000000000000000000
                    OR (leg.ended > 0 AND account.balance + leg.total <> 0)
                THEN credits_refuse(
                    account.id, coalesce(leg.parts, leg.total),
                    account.balance + leg.total - coalesce(leg.parts, leg.total), account.floor,
                    account.closed_at, CASE WHEN leg.ended > 0 THEN account.id END)
                ELSE account.balance + leg.total END,
            seq = account.seq + leg.entries,
            room = NULL,
            posted_at = CASE WHEN leg.entries = 0 THEN account.posted_at
                ELSE greatest(clock_timestamp(), account.posted_at) END,
            closed_at = CASE WHEN leg.ended > 0
                THEN greatest(clock_timestamp(), account.posted_at) END
        FROM leg WHERE account.id = leg.account AND account.id >= 1000
        RETURNING account.id, account.balance - leg.total AS balance_before,
            account.seq - leg.entries AS seq_before, account.floor, account.posted_at,
            leg.ended, leg.places, leg.amounts
    ), running AS MATERIALIZED (
        SELECT moved.id, step.place, step.amount, moved.seq_before + step.nth AS seq, moved.floor,
            moved.posted_at, moved.ended, moved.balance_before
                + sum(step.amount) OVER (PARTITION BY moved.id ORDER BY step.nth)::bigint AS balance
        FROM moved, unnest(moved.places, moved.amounts) WITH ORDINALITY AS step (place, amount, nth)
        WHERE step.place IS NOT NULL
    )
    INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, created_at, epoch)
    SELECT p_ids[place], id, amount, seq,
        CASE WHEN balance NOT BETWEEN floor AND 1000000000000000000
                OR place > ended OR (place = ended AND balance <> 0)
            THEN credits_refuse(id, amount, balance - amount, floor,
                                CASE WHEN place > ended THEN posted_at END,
                                CASE WHEN place = ended THEN id END)
            ELSE balance END,
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
