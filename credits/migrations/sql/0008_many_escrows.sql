-- Escrows of a tree of works: many are opened and funded by one posting, and many end in one call, also those
-- that hold nothing any more, with other postings beside them.

-- The escrows of works, in their order; null where a work has none.
CREATE FUNCTION credits_escrows_of(p_works text[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT (SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = work)
        FROM unnest(p_works) WITH ORDINALITY AS given (work, place) ORDER BY place)
$$;

-- Moves p_amounts[i] from one account into the escrow of p_works[i], all in one posting; escrows are opened
-- where there are none.
CREATE FUNCTION credits_fund_many(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_works text[], p_owner uuid, p_source bigint, p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrows bigint[] := credits_escrows_of(p_works);
    total bigint := 0;
    part bigint;
BEGIN
    IF array_position(escrows, NULL) IS NOT NULL THEN
        -- In the order of works, so that two who open some of the same cannot wait for each other.
        INSERT INTO credits_account (kind, owner, reference)
        SELECT 'escrow', p_owner, work FROM unnest(p_works) AS work ORDER BY work COLLATE "C"
        -- What is there already, or was opened just now by somebody for whom the insert waited.
        ON CONFLICT DO NOTHING;
        escrows := credits_escrows_of(p_works);
    END IF;
    IF p_source = ANY (escrows) THEN
        PERFORM credits_refuse_twice(p_source);
    END IF;
    FOREACH part IN ARRAY p_amounts LOOP
        total := total + part;
    END LOOP;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL,
                        p_source || escrows, -total || p_amounts, NULL);
END $$;

-- Moves p_amounts[i] from the escrow of p_work into that of p_children[i], all in one posting.
CREATE FUNCTION credits_allocate_many(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_children text[], p_owner uuid, p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
BEGIN
    IF escrow IS NULL THEN
        PERFORM credits_refuse_escrow(p_work);
    END IF;
    RETURN credits_fund_many(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, p_children, p_owner,
                             escrow, p_amounts);
END $$;

-- credits_post_many for everybody: it ends no escrow.
CREATE OR REPLACE FUNCTION credits_post_many(
    p_ids uuid[], p_references text[], p_kinds text[], p_digests bytea[], p_memos text[],
    p_subjects text[], p_postings integer[], p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid[] LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    RETURN credits_post_many(p_ids, p_references, p_kinds, p_digests, p_memos, p_subjects, p_postings,
                             p_accounts, p_amounts, NULL, NULL);
END $$;

-- Records many postings, all or nothing, as if one after the other: each floor is kept after each
-- posting. Leg i belongs to posting p_postings[i], counted from 1. Posting i ends the escrow p_ends[i], where
-- it names one: it leaves it at exactly zero, and closed to what follows. The escrows p_empty end after
-- everything else, by no posting, and hold nothing then. Accounts are locked once each, in ascending id over
-- the whole batch. Returns the postings' ids in order; an id that differs from the one given is that of an
-- earlier posting, which this one repeats.
CREATE FUNCTION credits_post_many(
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

-- Ends many escrows, and records other postings beside them, all or nothing, as if one after the other.
-- Posting i ends the escrow of p_works[i], whose legs are then the parts: together all that it holds. Where
-- p_works[i] is null it is a posting like any other. The escrows of p_empty hold nothing, are closed last,
-- and nothing is recorded of them.
CREATE FUNCTION credits_settle_many(
    p_ids uuid[], p_references text[], p_kinds text[], p_digests bytea[], p_memos text[],
    p_subjects text[], p_works text[], p_postings integer[], p_accounts bigint[], p_amounts bigint[],
    p_empty text[]
) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    works text[] := p_works || p_empty;
    ends bigint[] := credits_escrows_of(p_works);
    empty bigint[] := credits_escrows_of(p_empty);
    missing text := (
        SELECT work FROM unnest(works, ends || empty) AS named (work, escrow)
        WHERE work IS NOT NULL AND escrow IS NULL ORDER BY work COLLATE "C" LIMIT 1);
    again text := (
        SELECT work FROM unnest(works) AS work WHERE work = ANY (p_empty)
        GROUP BY work HAVING count(*) > 1 ORDER BY work COLLATE "C" LIMIT 1);
    paid_itself bigint := (
        SELECT account FROM unnest(p_postings, p_accounts) AS leg (place, account)
        WHERE account = ends[place] ORDER BY account LIMIT 1);
    debit record;
BEGIN
    IF coalesce(missing, again) IS NOT NULL THEN
        PERFORM credits_refuse_escrow(coalesce(missing, again));
    ELSIF paid_itself IS NOT NULL THEN
        PERFORM credits_refuse_twice(paid_itself);
    END IF;
    SELECT array_agg(place) AS postings, array_agg(ends[place]) AS accounts, array_agg(-parts) AS amounts
    INTO debit FROM (
        SELECT place, sum(amount)::bigint AS parts FROM unnest(p_postings, p_amounts) AS leg (place, amount)
        WHERE ends[place] IS NOT NULL GROUP BY place
    ) AS ended;
    RETURN credits_post_many(
        p_ids, p_references, p_kinds, p_digests, p_memos, p_subjects, p_postings || debit.postings,
        p_accounts || debit.accounts, p_amounts || debit.amounts, ends, empty);
END $$;

DO $$
DECLARE
    call regprocedure;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'credits_fund_many(uuid, text, text, bytea, text, text, text[], uuid, bigint, bigint[])',
        'credits_allocate_many(uuid, text, text, bytea, text, text, text, text[], uuid, bigint[])',
        'credits_post_many(uuid[], text[], text[], bytea[], text[], text[], integer[], bigint[], bigint[])',
        'credits_settle_many(uuid[], text[], text[], bytea[], text[], text[], text[], integer[], bigint[],'
            ' bigint[], text[])'
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
