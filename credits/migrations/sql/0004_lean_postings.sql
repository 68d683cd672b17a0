-- Cheaper postings. What a posting cost beside its own work was this: PostgreSQL reads the CHECK
-- constraints of a table, and the WHEN conditions of its row triggers, from their stored text anew for
-- every statement; and each statement inside a trigger is set up anew as well. So what a column must be
-- is said by its type (a domain's check is kept ready by the session), and one guard per statement
-- takes the place of rules that only somebody who writes by hand could break.

-- A kind is a word of the program's that uses the ledger.
CREATE DOMAIN credits_kind AS text
    CONSTRAINT credits_kind_is_short CHECK (char_length(VALUE) BETWEEN 1 AND 40);
-- It stands in an index, and a page of a B-tree bounds what fits there.
CREATE DOMAIN credits_reference AS text
    CONSTRAINT credits_reference_is_short CHECK (char_length(VALUE) BETWEEN 1 AND 200);
-- What tells accounts of one kind and owner apart, or says what a posting is about; may be empty.
CREATE DOMAIN credits_name AS text
    CONSTRAINT credits_name_is_short CHECK (char_length(VALUE) <= 200);
-- A memo is a sentence of a person's, kept for ever and shown in lists.
CREATE DOMAIN credits_memo AS text
    CONSTRAINT credits_memo_is_short CHECK (char_length(VALUE) <= 1000);
-- SHA-256 of the request: tells a repeated request from another one under the same reference.
CREATE DOMAIN credits_digest AS bytea
    CONSTRAINT credits_digest_is_sha256 CHECK (octet_length(VALUE) = 32);
-- stored: the row holds the balance and is locked by every posting that names it.
-- derived: the balance is the sum of the entries, and the row is never locked.
CREATE DOMAIN credits_mode AS text
    CONSTRAINT credits_mode_is_known CHECK (VALUE IN ('stored', 'derived'));
-- Nobody holds more than the greatest amount, so balance + amount never overflows a bigint.
CREATE DOMAIN credits_balance AS bigint
    CONSTRAINT credits_balance_ceiling CHECK (VALUE <= 1000000000000000000);
-- An account opens at zero, so a floor is zero or a bounded overdraft.
CREATE DOMAIN credits_floor AS bigint
    CONSTRAINT credits_floor_is_bounded CHECK (VALUE BETWEEN -1000000000000000000 AND 0);
-- An entry that moves nothing says nothing; and no sum of two amounts overflows.
CREATE DOMAIN credits_amount AS bigint
    CONSTRAINT credits_amount_moves_something CHECK (VALUE <> 0)
    CONSTRAINT credits_amount_is_bounded
        CHECK (VALUE BETWEEN -1000000000000000000 AND 1000000000000000000);
-- seq counts entries.
CREATE DOMAIN credits_count AS bigint CONSTRAINT credits_count_is_not_negative CHECK (VALUE >= 0);
-- An account's first entry is number 1.
CREATE DOMAIN credits_number AS bigint CONSTRAINT credits_number_counts_from_one CHECK (VALUE >= 1);

DROP TRIGGER credits_account_opens_empty ON credits_account;
DROP TRIGGER credits_account_keeps_its_identity ON credits_account;
ALTER TABLE credits_account
    DROP CONSTRAINT credits_account_kind_is_short,
    DROP CONSTRAINT credits_account_reference_is_short,
    DROP CONSTRAINT credits_account_mode_is_known,
    DROP CONSTRAINT credits_account_ceiling,
    DROP CONSTRAINT credits_account_floor_is_bounded,
    DROP CONSTRAINT credits_account_seq_counts,
    DROP CONSTRAINT credits_account_derived_stores_nothing,
    DROP CONSTRAINT credits_account_closes_at_zero,
    ALTER COLUMN kind TYPE credits_kind,
    ALTER COLUMN reference TYPE credits_name,
    ALTER COLUMN mode TYPE credits_mode,
    ALTER COLUMN balance TYPE credits_balance,
    ALTER COLUMN floor TYPE credits_floor,
    ALTER COLUMN seq TYPE credits_count;
ALTER TABLE credits_posting
    DROP CONSTRAINT credits_posting_reference_is_short,
    DROP CONSTRAINT credits_posting_kind_is_short,
    DROP CONSTRAINT credits_posting_memo_is_short,
    DROP CONSTRAINT credits_posting_subject_is_short,
    DROP CONSTRAINT credits_posting_digest_is_sha256,
    DROP CONSTRAINT credits_posting_reverses_another,
    ALTER COLUMN kind TYPE credits_kind,
    ALTER COLUMN reference TYPE credits_reference,
    ALTER COLUMN memo TYPE credits_memo,
    ALTER COLUMN subject TYPE credits_name,
    ALTER COLUMN digest TYPE credits_digest;
ALTER TABLE credits_entry
    DROP CONSTRAINT credits_entry_moves_something,
    DROP CONSTRAINT credits_entry_amount_is_bounded,
    DROP CONSTRAINT credits_entry_numbered_with_balance,
    DROP CONSTRAINT credits_entry_numbers_from_one,
    ALTER COLUMN amount TYPE credits_amount,
    ALTER COLUMN seq TYPE credits_number;

-- An account begins empty and open: a balance comes from entries. Ids below 1000 are the ledger's own
-- accounts, and only these are derived: a posting knows by the id which accounts it locks. What is never
-- locked has no floor.
CREATE TRIGGER credits_account_opens_empty
    BEFORE INSERT ON credits_account
    FOR EACH ROW WHEN (
        NEW.balance <> 0 OR NEW.seq <> 0 OR NEW.closed_at IS NOT NULL
        OR (NEW.mode = 'derived') <> (NEW.id < 1000) OR (NEW.mode = 'derived') <> (NEW.floor IS NULL)
    )
    EXECUTE FUNCTION credits_refuse_change();

-- Only the ledger's functions write. They say so by a setting that lasts as long as their call; whoever
-- writes by hand, and be it the owner, is stopped before the first row. So nobody writes an entry
-- without taking the account's lock, changes who an account belongs to, reopens it, shuts away what
-- it holds, or gives a balance to an account that stores none. (The application's role may not write at
-- all; this is for the others.)
CREATE FUNCTION credits_refuse_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('credits.writing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is written by the ledger''s functions alone', TG_TABLE_NAME
        USING ERRCODE = 'HL012', DETAIL = json_build_object('table', TG_TABLE_NAME);
END $$;
CREATE TRIGGER credits_account_changes_by_function
    BEFORE UPDATE ON credits_account
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_by_hand();
CREATE TRIGGER credits_posting_is_made_by_function
    BEFORE INSERT ON credits_posting
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_by_hand();
CREATE TRIGGER credits_entry_is_made_by_function
    BEFORE INSERT ON credits_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_by_hand();
ALTER FUNCTION credits_close_account(bigint) SET credits.writing = 'on';

-- Every INSERT of entries holds whole postings.
CREATE OR REPLACE FUNCTION credits_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT sum(amount) AS total INTO wrong FROM new_entries
    GROUP BY posting_id HAVING sum(amount) <> 0 OR count(*) < 2 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of a posting add up to zero' USING ERRCODE = 'HL005',
            DETAIL = json_build_object('total', wrong.total);
    END IF;
    RETURN NULL;
END $$;

-- Opening an account that is open returns it; the floor of an open account does not change.
CREATE OR REPLACE FUNCTION credits_open_account(p_kind text, p_owner uuid, p_reference text, p_floor bigint)
RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    found_id bigint;
BEGIN
    LOOP
        -- IS NOT DISTINCT FROM would say it in one, and would read the whole table: no index knows it.
        IF p_owner IS NULL THEN
            SELECT id INTO found_id FROM credits_account
            WHERE owner IS NULL AND kind = p_kind AND reference = p_reference AND closed_at IS NULL;
        ELSE
            SELECT id INTO found_id FROM credits_account
            WHERE owner = p_owner AND kind = p_kind AND reference = p_reference AND closed_at IS NULL;
        END IF;
        EXIT WHEN found_id IS NOT NULL;
        INSERT INTO credits_account (kind, owner, reference, floor)
        VALUES (p_kind, p_owner, p_reference, p_floor)
        ON CONFLICT (owner, kind, reference) WHERE closed_at IS NULL DO NOTHING RETURNING id INTO found_id;
        EXIT WHEN found_id IS NOT NULL;
        -- Somebody else opened it just now (the insert waited for them), or closed it since: look again.
    END LOOP;
    RETURN found_id;
END $$;

-- Why a posting moved fewer accounts than it has legs.
CREATE FUNCTION credits_refuse_names(p_accounts bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    unknown bigint := (
        SELECT named FROM unnest(p_accounts) AS named
        WHERE NOT EXISTS (SELECT FROM credits_account WHERE id = named) ORDER BY named LIMIT 1);
BEGIN
    IF unknown IS NOT NULL THEN
        PERFORM credits_refuse_unknown(unknown);
    END IF;
    PERFORM credits_refuse_twice((
        SELECT named FROM unnest(p_accounts) AS named GROUP BY named HAVING count(*) > 1 LIMIT 1));
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
    now_epoch integer := xid_epoch();
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
    -- Waits for a rival with the same reference until it has committed or failed.
    INSERT INTO credits_posting (id, reference, kind, digest, memo, subject, reverses, epoch)
    VALUES (p_id, p_reference, p_kind, p_digest, p_memo, p_subject, p_reverses, now_epoch)
    -- Any conflict: which of the indexes meets a rival first is not said, and a rival with the same
    -- reversal meets both.
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        earlier := credits_replayed(p_reference, p_digest, p_ends);
        IF earlier IS NULL THEN
            RAISE EXCEPTION 'the posting was taken back before, or the id is taken'
                USING ERRCODE = 'unique_violation', CONSTRAINT = CASE WHEN p_reverses IS NULL
                    THEN 'credits_posting_pkey' ELSE 'credits_posting_reversed_once' END;
        END IF;
        RETURN earlier;
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
