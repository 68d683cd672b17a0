DROP TRIGGER credits_account_opens_empty ON credits_account;
DROP TRIGGER credits_account_changes_by_function ON credits_account;
DROP TRIGGER credits_posting_is_made_by_function ON credits_posting;
DROP TRIGGER credits_entry_is_made_by_function ON credits_entry;
DROP FUNCTION credits_refuse_by_hand();
ALTER TABLE credits_account
    ALTER COLUMN kind TYPE text,
    ALTER COLUMN reference TYPE text,
    ALTER COLUMN mode TYPE text,
    ALTER COLUMN balance TYPE bigint,
    ALTER COLUMN floor TYPE bigint,
    ALTER COLUMN seq TYPE bigint,
    ADD CONSTRAINT credits_account_kind_is_short CHECK (char_length(kind) BETWEEN 1 AND 40),
    ADD CONSTRAINT credits_account_reference_is_short CHECK (char_length(reference) <= 200),
    ADD CONSTRAINT credits_account_mode_is_known CHECK (mode IN ('stored', 'derived')),
    ADD CONSTRAINT credits_account_ceiling CHECK (balance <= 1000000000000000000),
    ADD CONSTRAINT credits_account_floor_is_bounded
        CHECK (floor BETWEEN -1000000000000000000 AND 0),
    ADD CONSTRAINT credits_account_seq_counts CHECK (seq >= 0),
    ADD CONSTRAINT credits_account_derived_stores_nothing CHECK (
        CASE mode WHEN 'derived' THEN balance = 0 AND seq = 0 AND floor IS NULL
        ELSE floor IS NOT NULL END
    ),
    ADD CONSTRAINT credits_account_closes_at_zero
        CHECK (closed_at IS NULL OR (balance = 0 AND mode = 'stored'));
ALTER TABLE credits_posting
    ALTER COLUMN kind TYPE text,
    ALTER COLUMN reference TYPE text,
    ALTER COLUMN memo TYPE text,
    ALTER COLUMN subject TYPE text,
    ALTER COLUMN digest TYPE bytea,
    ADD CONSTRAINT credits_posting_reference_is_short CHECK (char_length(reference) BETWEEN 1 AND 200),
    ADD CONSTRAINT credits_posting_kind_is_short CHECK (char_length(kind) BETWEEN 1 AND 40),
    ADD CONSTRAINT credits_posting_memo_is_short CHECK (char_length(memo) <= 1000),
    ADD CONSTRAINT credits_posting_subject_is_short CHECK (char_length(subject) <= 200),
    ADD CONSTRAINT credits_posting_digest_is_sha256 CHECK (octet_length(digest) = 32),
    ADD CONSTRAINT credits_posting_reverses_another CHECK (reverses <> id);
ALTER TABLE credits_entry
    ALTER COLUMN amount TYPE bigint,
    ALTER COLUMN seq TYPE bigint,
    ADD CONSTRAINT credits_entry_moves_something CHECK (amount <> 0),
    ADD CONSTRAINT credits_entry_amount_is_bounded
        CHECK (amount BETWEEN -1000000000000000000 AND 1000000000000000000),
    ADD CONSTRAINT credits_entry_numbered_with_balance CHECK ((seq IS NULL) = (balance_after IS NULL)),
    ADD CONSTRAINT credits_entry_numbers_from_one CHECK (seq >= 1);
DROP DOMAIN credits_kind, credits_reference, credits_name, credits_memo, credits_digest, credits_mode,
    credits_balance, credits_floor, credits_amount, credits_count, credits_number;

-- The triggers and functions as 0001 made them.
-- An account begins empty and open: a balance comes from entries.
CREATE TRIGGER credits_account_opens_empty
    BEFORE INSERT ON credits_account
    FOR EACH ROW WHEN (NEW.balance <> 0 OR NEW.seq <> 0 OR NEW.closed_at IS NOT NULL)
    EXECUTE FUNCTION credits_refuse_change();
-- Who an account belongs to never changes, its seq never falls, and a closed one stays as it is.
CREATE TRIGGER credits_account_keeps_its_identity
    AFTER UPDATE ON credits_account
    FOR EACH ROW WHEN (
        OLD.closed_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind
        OR NEW.owner IS DISTINCT FROM OLD.owner OR NEW.reference <> OLD.reference
        OR NEW.mode <> OLD.mode OR NEW.floor IS DISTINCT FROM OLD.floor
        OR NEW.opened_at <> OLD.opened_at OR NEW.seq < OLD.seq
    )
    EXECUTE FUNCTION credits_refuse_change();

ALTER FUNCTION credits_close_account(bigint) RESET ALL;
ALTER FUNCTION credits_open_account(text, uuid, text, bigint) RESET ALL;
-- Every INSERT of entries holds whole postings, and agrees with the accounts that it names.
CREATE OR REPLACE FUNCTION credits_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    facts json;
BEGIN
    SELECT json_build_object('total', sum(amount)) INTO facts
    FROM new_entries GROUP BY posting_id HAVING sum(amount) <> 0 OR count(*) < 2 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of a posting add up to zero' USING ERRCODE = 'HL005', DETAIL = facts;
    END IF;
    -- An entry of a stored account is covered by the account's row: not beyond its seq, and the
    -- newest one ends at its balance. So nobody writes an entry without taking the row's lock, and
    -- a closed account, whose row cannot change, gets no entry.
    SELECT json_build_object('account', entry.account_id) INTO facts
    FROM new_entries AS entry LEFT JOIN credits_account AS account ON account.id = entry.account_id
    WHERE account.id IS NULL
        OR (entry.seq IS NULL) <> (account.mode = 'derived')
        OR entry.seq > account.seq
        OR (entry.seq = account.seq AND entry.balance_after <> account.balance)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry disagrees with its account' USING ERRCODE = 'HL013', DETAIL = facts;
    END IF;
    RETURN NULL;
END $$;

-- Opening an account that is open returns it; the floor of an open account does not change.
CREATE OR REPLACE FUNCTION credits_open_account(p_kind text, p_owner uuid, p_reference text, p_floor bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found_id bigint;
BEGIN
    LOOP
        SELECT id INTO found_id FROM credits_account
        WHERE kind = p_kind AND owner IS NOT DISTINCT FROM p_owner AND reference = p_reference
            AND closed_at IS NULL;
        EXIT WHEN found_id IS NOT NULL;
        INSERT INTO credits_account (kind, owner, reference, floor)
        VALUES (p_kind, p_owner, p_reference, p_floor)
        ON CONFLICT (owner, kind, reference) WHERE closed_at IS NULL DO NOTHING RETURNING id INTO found_id;
        EXIT WHEN found_id IS NOT NULL;
        -- Somebody else opened it just now (the insert waited for them), or closed it since: look again.
    END LOOP;
    RETURN found_id;
END $$;

DROP FUNCTION credits_refuse_names(bigint[]);

-- Records one posting: p_amounts[i] goes to p_accounts[i]. p_ends names the escrow that the posting
-- ends: it must come to exactly zero, and is closed. Without p_amounts, everything that it holds goes
-- from it, p_accounts[1], to p_accounts[2]. Returns p_id, or the id of the first posting
-- when the request is a repetition.
CREATE OR REPLACE FUNCTION credits_post(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_reverses uuid, p_accounts bigint[], p_amounts bigint[], p_ends bigint
) RETURNS uuid LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    now_epoch integer := xid_epoch();
    held bigint;
    written integer;
BEGIN
    -- Waits for a rival with the same reference until it has committed or failed.
    INSERT INTO credits_posting (id, reference, kind, digest, memo, subject, reverses, epoch)
    VALUES (p_id, p_reference, p_kind, p_digest, p_memo, p_subject, p_reverses, now_epoch)
    ON CONFLICT (reference) DO NOTHING;
    IF NOT FOUND THEN
        RETURN credits_replayed(p_reference, p_digest, p_ends);
    END IF;
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
        FROM leg WHERE account.id = leg.account AND account.mode = 'stored'
        RETURNING account.id, leg.amount, account.seq, account.balance, account.posted_at
    )
    INSERT INTO credits_entry (posting_id, account_id, amount, seq, balance_after, created_at, epoch)
    SELECT p_id, id, amount, seq, balance, posted_at, now_epoch FROM moved
    UNION ALL
    SELECT p_id, coalesce(derived.id, credits_refuse_unknown(leg.account)), leg.amount, NULL, NULL,
        clock_timestamp(), now_epoch
    FROM leg LEFT JOIN credits_account AS derived ON derived.id = leg.account
    WHERE derived.mode IS DISTINCT FROM 'stored';
    GET DIAGNOSTICS written = ROW_COUNT;
    -- An UPDATE takes a row once, however often it is joined; what is left may even balance.
    IF written <> cardinality(p_accounts) THEN
        PERFORM credits_refuse_twice((
            SELECT named FROM unnest(p_accounts) AS named GROUP BY named HAVING count(*) > 1 LIMIT 1));
    END IF;
    RETURN p_id;
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
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    now_epoch integer := xid_epoch();
    ids uuid[] := p_ids;
    written integer;
BEGIN
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
        FROM leg WHERE account.id = leg.account AND account.mode = 'stored'
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
    WHERE derived.mode IS DISTINCT FROM 'stored';
    RETURN ids;
END $$;
