-- The ledger's calls: one function each, called once, in the caller's transaction.
--
-- Errors have SQLSTATEs of class HL and their facts as JSON in DETAIL; credits/errors.py names them.
-- A refusal is decided on what was committed when the statement began, or on the newest version of
-- a row that it waited for.
--
-- The planner settings on the posting functions are what makes locks ascend. With hash and merge
-- joins, sequential and bitmap scans off, an UPDATE of accounts is a nested loop: either over the
-- sorted legs, looking up each account, or over the primary key of accounts, which is sorted too.
-- A separate locking pass would do as well and would write every row's lock to the WAL.
-- With few legs the planner would plan anew at every call, guessing that a plan for exactly so many
-- is cheaper; planning takes as long as posting, so the generic plan is forced.

CREATE FUNCTION xid_epoch() RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    life credits_epoch;
BEGIN
    SELECT * INTO STRICT life FROM credits_epoch;
    IF life.system_identifier <> (SELECT system_identifier FROM pg_control_system()) THEN
        RAISE EXCEPTION 'this database was restored into another cluster, whose transaction ids start anew'
            USING ERRCODE = 'HL011', DETAIL = json_build_object('epoch', life.epoch),
            HINT = 'Run SELECT credits_raise_epoch() once, as the owner of the database.';
    END IF;
    RETURN life.epoch;
END $$;
COMMENT ON FUNCTION xid_epoch() IS
    'The epoch that stands in front of every xid: rows are ordered by (epoch, xid, id). STABLE, and a '
    'column default. Refuses in a restored copy until credits_raise_epoch() has been called.';

CREATE FUNCTION credits_raise_epoch() RETURNS integer LANGUAGE sql AS $$
    UPDATE credits_epoch SET epoch = epoch + 1,
        system_identifier = (SELECT system_identifier FROM pg_control_system())
    RETURNING epoch
$$;

-- Opening an account that is open returns it; the floor of an open account does not change.
CREATE FUNCTION credits_open_account(p_kind text, p_owner uuid, p_reference text, p_floor bigint)
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

CREATE FUNCTION credits_close_account(p_account bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    account credits_account;
BEGIN
    SELECT * INTO account FROM credits_account WHERE id = p_account FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no account %', p_account
            USING ERRCODE = 'HL003', DETAIL = json_build_object('account', p_account);
    ELSIF account.mode = 'derived' THEN
        RAISE EXCEPTION 'account % is derived and stays open', p_account
            USING ERRCODE = 'HL010', DETAIL = json_build_object('account', p_account);
    ELSIF account.balance <> 0 THEN
        RAISE EXCEPTION 'account % holds %', p_account, account.balance USING ERRCODE = 'HL009',
            DETAIL = json_build_object('account', p_account, 'balance', account.balance);
    ELSIF account.closed_at IS NULL THEN
        UPDATE credits_account SET closed_at = greatest(clock_timestamp(), posted_at) WHERE id = p_account;
    END IF;
END $$;

-- Why an account cannot take an amount. Called inside the UPDATE that would have broken the rule,
-- so it knows the row without parsing a constraint's message.
CREATE FUNCTION credits_refuse(
    p_account bigint, p_amount bigint, p_balance bigint, p_floor bigint, p_closed_at timestamptz,
    p_ends bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF p_account = p_ends AND (p_closed_at IS NOT NULL OR p_balance = 0) THEN
        RAISE EXCEPTION 'nothing is held' USING ERRCODE = 'HL007', DETAIL = json_build_object(
            'work', (SELECT reference FROM credits_account WHERE id = p_account));
    ELSIF p_account = p_ends THEN
        RAISE EXCEPTION 'the parts are %, held are %', -p_amount, p_balance USING ERRCODE = 'HL008',
            DETAIL = json_build_object(
                'work', (SELECT reference FROM credits_account WHERE id = p_account),
                'held', p_balance, 'parts', -p_amount);
    ELSIF p_closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'account % is closed', p_account
            USING ERRCODE = 'HL002', DETAIL = json_build_object('account', p_account);
    ELSIF p_balance + p_amount < p_floor THEN
        RAISE EXCEPTION 'account % needs % and can spend %', p_account, -p_amount, p_balance - p_floor
            USING ERRCODE = 'HL001', DETAIL = json_build_object(
                'account', p_account, 'required', -p_amount, 'available', p_balance - p_floor);
    END IF;
    RAISE EXCEPTION 'account % would hold more than one account may', p_account
        USING ERRCODE = 'HL006', DETAIL = json_build_object('account', p_account);
END $$;

-- The posting that a reference already names, if the request was the same; else an error. An end of
-- an escrow that comes second, and differently, finds nothing held: that is what its caller asks.
CREATE FUNCTION credits_replayed(p_reference text, p_digest bytea, p_ends bigint)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    earlier credits_posting;
BEGIN
    SELECT * INTO earlier FROM credits_posting WHERE reference = p_reference;
    IF NOT FOUND OR earlier.digest = p_digest THEN
        RETURN earlier.id;
    ELSIF p_ends IS NOT NULL THEN
        RAISE EXCEPTION 'nothing is held' USING ERRCODE = 'HL007', DETAIL = json_build_object(
            'work', (SELECT reference FROM credits_account WHERE id = p_ends));
    END IF;
    RAISE EXCEPTION 'the reference % names another posting', p_reference USING ERRCODE = 'HL004',
        DETAIL = json_build_object('reference', p_reference, 'posting', earlier.id);
END $$;

CREATE FUNCTION credits_refuse_unknown(p_account bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'no account %', p_account
        USING ERRCODE = 'HL003', DETAIL = json_build_object('account', p_account);
END $$;

CREATE FUNCTION credits_refuse_twice(p_account bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a posting names each account once' USING ERRCODE = 'HL015',
        DETAIL = json_build_object('code', 'account_twice', 'account', p_account,
            'detail', 'a posting names each account once');
END $$;

CREATE FUNCTION credits_refuse_escrow(p_work text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'nothing is held' USING ERRCODE = 'HL007', DETAIL = json_build_object('work', p_work);
END $$;

-- Records one posting: p_amounts[i] goes to p_accounts[i]. p_ends names the escrow that the posting
-- ends: it must come to exactly zero, and is closed. Without p_amounts, everything that it holds goes
-- from it, p_accounts[1], to p_accounts[2]. Returns p_id, or the id of the first posting
-- when the request is a repetition.
CREATE FUNCTION credits_post(
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
CREATE FUNCTION credits_post_many(
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

-- Posts the entries of p_posting with their signs turned.
CREATE FUNCTION credits_reverse(p_id uuid, p_posting uuid, p_reference text, p_digest bytea, p_memo text)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    about text;
    accounts bigint[];
    amounts bigint[];
BEGIN
    SELECT subject INTO about FROM credits_posting WHERE id = p_posting;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no posting %', p_posting
            USING ERRCODE = 'HL014', DETAIL = json_build_object('posting', p_posting);
    END IF;
    SELECT array_agg(account_id), array_agg(-amount) INTO accounts, amounts
    FROM credits_entry WHERE posting_id = p_posting;
    RETURN credits_post(p_id, p_reference, 'reversal', p_digest, p_memo, about, p_posting,
                        accounts, amounts, NULL);
END $$;

-- Moves p_amount from an account into the escrow of p_work, which is opened where there is none.
CREATE FUNCTION credits_fund(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_owner uuid, p_source bigint, p_amount bigint
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
BEGIN
    IF escrow IS NULL THEN
        INSERT INTO credits_account (kind, owner, reference) VALUES ('escrow', p_owner, p_work)
        ON CONFLICT DO NOTHING RETURNING id INTO escrow;
        IF escrow IS NULL THEN  -- somebody else opened it just now; the insert waited for them
            SELECT id INTO STRICT escrow FROM credits_account WHERE kind = 'escrow' AND reference = p_work;
        END IF;
    END IF;
    IF p_source = escrow THEN
        PERFORM credits_refuse_twice(escrow);
    END IF;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL,
                        ARRAY[p_source, escrow], ARRAY[-p_amount, p_amount], NULL);
END $$;

-- Moves p_amount from the escrow of p_work into that of p_child.
CREATE FUNCTION credits_allocate(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_child text, p_owner uuid, p_amount bigint
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
BEGIN
    IF escrow IS NULL THEN
        PERFORM credits_refuse_escrow(p_work);
    END IF;
    RETURN credits_fund(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, p_child, p_owner,
                        escrow, p_amount);
END $$;

-- Moves a part of what is held for p_work to an account; the escrow stays open.
CREATE FUNCTION credits_withdraw(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_to bigint, p_amount bigint
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
BEGIN
    IF escrow IS NULL THEN
        PERFORM credits_refuse_escrow(p_work);
    ELSIF p_to = escrow THEN
        PERFORM credits_refuse_twice(escrow);
    END IF;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL,
                        ARRAY[escrow, p_to], ARRAY[-p_amount, p_amount], NULL);
END $$;

-- Ends the escrow of p_work: pays p_amounts[i] to p_accounts[i], which together are all that is held.
-- The amount debited is the sum of the parts, and credits_post refuses unless that leaves zero; so
-- the escrow needs no lock before its turn in the ascending order.
CREATE FUNCTION credits_settle(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
    parts bigint := 0;
    part bigint;
BEGIN
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

-- Ends the escrow of p_work: everything held goes to p_to.
CREATE FUNCTION credits_refund(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_to bigint
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
BEGIN
    IF escrow IS NULL THEN
        PERFORM credits_refuse_escrow(p_work);
    ELSIF p_to = escrow THEN
        PERFORM credits_refuse_twice(escrow);
    END IF;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL,
                        ARRAY[escrow, p_to], NULL, escrow);
END $$;

-- The number of the newest entry of a stored account before an instant; 0 where there is none.
-- Numbers have no gaps and times rise with them, so it is a binary search: a dozen index probes
-- instead of an index by time that every posting would have to maintain.
CREATE FUNCTION credits_seq_before(p_account bigint, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint := 0;
    high bigint := coalesce(
        (SELECT max(seq) FROM credits_entry WHERE account_id = p_account AND seq IS NOT NULL), 0);
    middle bigint;
BEGIN
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (SELECT created_at < p_at FROM credits_entry WHERE account_id = p_account AND seq = middle) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- What an account held at an instant, the entries of that instant included; null for no such account.
CREATE FUNCTION credits_balance_at(p_account bigint, p_at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT CASE mode
        WHEN 'stored' THEN coalesce((
            SELECT balance_after FROM credits_entry WHERE account_id = id
                AND seq = credits_seq_before(id, p_at + interval '1 microsecond')), 0)
        ELSE (SELECT coalesce(sum(amount), 0)::bigint FROM credits_entry
            WHERE account_id = id AND seq IS NULL AND created_at <= p_at) END
    FROM credits_account WHERE id = p_account
$$;

-- An account's lines, newest first, beginning below number p_before. Of a derived account: the
-- entries below the xid horizon, numbered in the order (epoch, xid, id), which no later commit changes.
CREATE FUNCTION credits_statement(
    p_account bigint, p_before bigint, p_limit integer, p_kinds text[], p_since timestamptz,
    p_until timestamptz
) RETURNS TABLE (
    posting_id uuid, kind text, amount bigint, balance_after bigint, subject text, memo text,
    created_at timestamptz, seq bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    account_mode text := (SELECT account.mode FROM credits_account AS account WHERE account.id = p_account);
    above bigint := 0;
    below bigint := coalesce(p_before, 9223372036854775807);
BEGIN
    IF account_mode IS NULL THEN
        RAISE EXCEPTION 'no account %', p_account
            USING ERRCODE = 'HL003', DETAIL = json_build_object('account', p_account);
    ELSIF account_mode = 'stored' THEN
        IF p_since IS NOT NULL THEN
            above := credits_seq_before(p_account, p_since);
        END IF;
        IF p_until IS NOT NULL THEN
            below := least(below, credits_seq_before(p_account, p_until) + 1);
        END IF;
        RETURN QUERY
        SELECT entry.posting_id, posting.kind, entry.amount, entry.balance_after, posting.subject,
            posting.memo, entry.created_at, entry.seq
        FROM credits_entry AS entry JOIN credits_posting AS posting ON posting.id = entry.posting_id
        WHERE entry.account_id = p_account AND entry.seq > above AND entry.seq < below
            AND (p_kinds IS NULL OR posting.kind = ANY (p_kinds))
        ORDER BY entry.seq DESC LIMIT p_limit;
    ELSE
        RETURN QUERY
        SELECT line.posting_id, posting.kind, line.amount, line.balance, posting.subject,
            posting.memo, line.created_at, line.number
        FROM (
            SELECT entry.posting_id, entry.amount, entry.created_at, row_number() OVER so_far AS number,
                (sum(entry.amount) OVER so_far)::bigint AS balance
            FROM credits_entry AS entry
            WHERE entry.account_id = p_account AND entry.seq IS NULL AND (
                entry.epoch < xid_epoch() OR entry.xid < pg_snapshot_xmin(pg_current_snapshot()))
            WINDOW so_far AS (ORDER BY entry.epoch, entry.xid, entry.posting_id)
        ) AS line JOIN credits_posting AS posting ON posting.id = line.posting_id
        WHERE line.number < below
            AND (p_kinds IS NULL OR posting.kind = ANY (p_kinds))
            AND (p_since IS NULL OR line.created_at >= p_since)
            AND (p_until IS NULL OR line.created_at < p_until)
        ORDER BY line.number DESC LIMIT p_limit;
    END IF;
END $$;
