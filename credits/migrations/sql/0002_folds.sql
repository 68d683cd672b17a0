-- The balance of a derived account without reading all its entries: now and then its settled entries
-- are folded into a numbered row, and what came after the last fold is added on reading.
--
-- An entry is settled when its (epoch, xid) is below the horizon: every transaction that could still
-- write there has ended. Cutting at an id or a time instead would lose what commits late under a
-- smaller one.

-- A posting reads the epoch and may commit much later, so an epoch that ended by a mere UPDATE could
-- still get entries. Now the raise waits for everybody who has read the epoch (a reader's lock on the
-- table lasts as long as its transaction), and whoever waits for the raise with an older snapshot finds
-- no row, because TRUNCATE is not for snapshots, and is told to begin again. It costs a posting nothing.
CREATE OR REPLACE FUNCTION credits_raise_epoch() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    raised integer;
BEGIN
    LOCK TABLE credits_epoch IN ACCESS EXCLUSIVE MODE;
    SELECT epoch + 1 INTO STRICT raised FROM credits_epoch;
    TRUNCATE credits_epoch;
    INSERT INTO credits_epoch (epoch, system_identifier)
    SELECT raised, system_identifier FROM pg_control_system();
    RETURN raised;
END $$;

CREATE OR REPLACE FUNCTION xid_epoch() RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    life credits_epoch;
BEGIN
    SELECT * INTO life FROM credits_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the epoch was raised just now' USING ERRCODE = 'serialization_failure',
            HINT = 'Run the transaction again.';
    ELSIF life.system_identifier <> (SELECT system_identifier FROM pg_control_system()) THEN
        RAISE EXCEPTION 'this database was restored into another cluster, whose transaction ids start anew'
            USING ERRCODE = 'HL011', DETAIL = json_build_object('epoch', life.epoch),
            HINT = 'Run SELECT credits_raise_epoch() once, as the owner of the database.';
    END IF;
    RETURN life.epoch;
END $$;

-- Everything whose (epoch, xid) is less is settled: it is visible to this snapshot and to later ones, and
-- nothing is added to it. In a restored copy that is everything; there nobody writes until the
-- epoch is raised. No error there, so that a restored copy can be read.
CREATE FUNCTION credits_horizon(OUT epoch integer, OUT xid xid8) LANGUAGE plpgsql STABLE AS $$
DECLARE
    life credits_epoch;
BEGIN
    SELECT * INTO life FROM credits_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the epoch was raised just now' USING ERRCODE = 'serialization_failure',
            HINT = 'Run the transaction again.';
    END IF;
    epoch := life.epoch;
    xid := pg_snapshot_xmin(pg_current_snapshot());
    IF life.system_identifier <> (SELECT system_identifier FROM pg_control_system()) THEN
        epoch := epoch + 1;
        xid := '0';
    END IF;
END $$;

CREATE TABLE credits_fold (
    account_id bigint NOT NULL,
    number bigint NOT NULL,
    -- The place of the newest entry in it: all settled entries up to there, and no other, are folded.
    upto_epoch integer NOT NULL,
    upto_xid xid8 NOT NULL,
    -- What those entries add up to, and how many they are, from the account's first on.
    balance bigint NOT NULL,
    entries bigint NOT NULL,
    -- The time of the oldest entry since the fold before, and of the newest entry of all. The
    -- order of places is not quite the order of times, so an instant is looked for by both.
    oldest_at timestamptz NOT NULL,
    newest_at timestamptz NOT NULL,
    folded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Of two roll-ups at once, one writes the next fold.
    PRIMARY KEY (account_id, number),
    -- The first fold is number 1.
    CONSTRAINT credits_fold_numbers_from_one CHECK (number >= 1),
    -- A fold without an entry says nothing. Also where a page of a statement finds its fold.
    CONSTRAINT credits_fold_grows UNIQUE (account_id, entries),
    CONSTRAINT credits_fold_is_not_empty CHECK (entries >= number),
    -- Every entry is at least as old as the newest.
    CONSTRAINT credits_fold_times_follow CHECK (oldest_at <= newest_at)
);

-- A roll-up looks for derived accounts; there are few among millions. Partial, see credits_account.
CREATE INDEX credits_account_derived ON credits_account (id) WHERE mode = 'derived';

CREATE FUNCTION credits_check_fold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    earlier credits_fold;
BEGIN
    SELECT * INTO earlier FROM credits_fold WHERE account_id = NEW.account_id ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(earlier.number, 0) + 1 OR NEW.entries <= earlier.entries
        OR (NEW.upto_epoch, NEW.upto_xid) <= (earlier.upto_epoch, earlier.upto_xid)
        OR NEW.newest_at < earlier.newest_at
    THEN
        RAISE EXCEPTION 'a fold goes on where the one before it ended' USING ERRCODE = 'HL016',
            DETAIL = json_build_object('table', TG_TABLE_NAME, 'number', NEW.number);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER credits_fold_follows
    BEFORE INSERT ON credits_fold FOR EACH ROW EXECUTE FUNCTION credits_check_fold();
CREATE TRIGGER credits_fold_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credits_fold
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_change();

-- The functions below read ranges of credits_entry_tail. With plain scans of the table and bitmaps off
-- they do so also where statistics are old or a plan is made without knowing how short a tail is.

-- Folds at most about p_most settled entries of a derived account (all of a transaction's together), and
-- returns how many; 0 where there are fewer than p_least, or where somebody else folds it just now.
CREATE FUNCTION credits_roll_up(p_account bigint, p_least bigint, p_most bigint) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    earlier credits_fold;
    horizon record;
    cut record;
    part record;
BEGIN
    -- Postings never lock a derived account, so they do not wait for this.
    PERFORM FROM credits_account WHERE id = p_account AND mode = 'derived' FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT * INTO earlier FROM credits_fold WHERE account_id = p_account ORDER BY number DESC LIMIT 1;
    IF NOT FOUND THEN
        earlier.number := 0;
        earlier.upto_epoch := 0;
        earlier.upto_xid := '0';
        earlier.balance := 0;
        earlier.entries := 0;
    END IF;
    -- The horizon first: each statement has a snapshot of its own, and later ones see all below it.
    SELECT * INTO horizon FROM credits_horizon();
    SELECT entry.epoch, entry.xid INTO cut FROM credits_entry AS entry
    WHERE entry.account_id = p_account AND entry.seq IS NULL
        AND (entry.epoch, entry.xid) > (earlier.upto_epoch, earlier.upto_xid)
        AND (entry.epoch, entry.xid) < (horizon.epoch, horizon.xid)
    ORDER BY entry.epoch, entry.xid OFFSET p_most - 1 LIMIT 1;
    IF NOT FOUND THEN
        SELECT entry.epoch, entry.xid INTO cut FROM credits_entry AS entry
        WHERE entry.account_id = p_account AND entry.seq IS NULL
            AND (entry.epoch, entry.xid) > (earlier.upto_epoch, earlier.upto_xid)
            AND (entry.epoch, entry.xid) < (horizon.epoch, horizon.xid)
        ORDER BY entry.epoch DESC, entry.xid DESC LIMIT 1;
        IF NOT FOUND THEN
            RETURN 0;
        END IF;
    END IF;
    SELECT count(*) AS entries, sum(entry.amount) AS total, min(entry.created_at) AS oldest_at,
        max(entry.created_at) AS newest_at
    INTO part FROM credits_entry AS entry
    WHERE entry.account_id = p_account AND entry.seq IS NULL
        AND (entry.epoch, entry.xid) > (earlier.upto_epoch, earlier.upto_xid)
        AND (entry.epoch, entry.xid) <= (cut.epoch, cut.xid);
    IF part.entries < p_least THEN
        RETURN 0;
    END IF;
    INSERT INTO credits_fold
        (account_id, number, upto_epoch, upto_xid, balance, entries, oldest_at, newest_at)
    VALUES (p_account, earlier.number + 1, cut.epoch, cut.xid, earlier.balance + part.total,
        earlier.entries + part.entries, part.oldest_at, greatest(part.newest_at, earlier.newest_at));
    RETURN part.entries;
END $$;

-- What a derived account holds: its last fold and the entries above it. Exact: whoever sees a fold sees
-- everything that it folded, because that was committed before.
CREATE FUNCTION credits_derived_balance(p_account bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    last credits_fold;
BEGIN
    SELECT * INTO last FROM credits_fold WHERE account_id = p_account ORDER BY number DESC LIMIT 1;
    RETURN coalesce(last.balance, 0) + coalesce((
        SELECT sum(entry.amount) FROM credits_entry AS entry
        WHERE entry.account_id = p_account AND entry.seq IS NULL
            AND (entry.epoch, entry.xid) > (coalesce(last.upto_epoch, 0), coalesce(last.upto_xid, '0'))
    ), 0);
END $$;

-- What a derived account held at an instant. Whole folds as far as all their entries are early enough;
-- then entry by entry, in those later folds that have an early one, and above the last fold.
CREATE FUNCTION credits_derived_balance_at(p_account bigint, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    whole credits_fold;
    last credits_fold;
    total bigint;
    later bigint;
BEGIN
    SELECT * INTO whole FROM credits_fold WHERE account_id = p_account AND newest_at <= p_at
    ORDER BY number DESC LIMIT 1;
    total := coalesce(whole.balance, 0);
    SELECT sum(part.amount) INTO later
    FROM credits_fold AS fold
    LEFT JOIN credits_fold AS before
        ON before.account_id = fold.account_id AND before.number = fold.number - 1
    CROSS JOIN LATERAL (
        SELECT sum(entry.amount) AS amount FROM credits_entry AS entry
        WHERE entry.account_id = p_account AND entry.seq IS NULL AND entry.created_at <= p_at
            AND (entry.epoch, entry.xid) > (coalesce(before.upto_epoch, 0), coalesce(before.upto_xid, '0'))
            AND (entry.epoch, entry.xid) <= (fold.upto_epoch, fold.upto_xid)
    ) AS part
    WHERE fold.account_id = p_account AND fold.number > coalesce(whole.number, 0)
        AND fold.oldest_at <= p_at;
    total := total + coalesce(later, 0);
    SELECT * INTO last FROM credits_fold WHERE account_id = p_account ORDER BY number DESC LIMIT 1;
    SELECT sum(entry.amount) INTO later FROM credits_entry AS entry
    WHERE entry.account_id = p_account AND entry.seq IS NULL AND entry.created_at <= p_at
        AND (entry.epoch, entry.xid) > (coalesce(last.upto_epoch, 0), coalesce(last.upto_xid, '0'));
    RETURN total + coalesce(later, 0);
END $$;

CREATE OR REPLACE FUNCTION credits_balance_at(p_account bigint, p_at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT CASE mode
        WHEN 'stored' THEN coalesce((
            SELECT balance_after FROM credits_entry WHERE account_id = id
                AND seq = credits_seq_before(id, p_at + interval '1 microsecond')), 0)
        ELSE credits_derived_balance_at(id, p_at) END
    FROM credits_account WHERE id = p_account
$$;

-- The settled lines of a derived account, as credits_statement gives them. It reads backwards, part by
-- part, and ends when the page is full: a line's number and balance are those at the upper end of its
-- part less what is newer there.
CREATE FUNCTION credits_derived_statement(
    p_account bigint, p_before bigint, p_limit integer, p_kinds text[], p_since timestamptz,
    p_until timestamptz
) RETURNS TABLE (
    posting_id uuid, kind text, amount bigint, balance_after bigint, subject text, memo text,
    created_at timestamptz, seq bigint
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    horizon record;
    -- Part n lies above fold n - 1, up to fold n. The newest part has no fold yet.
    part bigint;
    upper_end credits_fold;
    lower_end credits_fold;
    tail record;
    found_lines integer;
    missing integer := p_limit;
BEGIN
    SELECT * INTO horizon FROM credits_horizon();
    -- Folds number the entries, so the part with the line before p_before is known without reading.
    SELECT number INTO part FROM credits_fold
    WHERE account_id = p_account AND entries >= p_before - 1 ORDER BY entries LIMIT 1;
    IF part IS NULL THEN
        SELECT coalesce(max(number), 0) + 1 INTO part FROM credits_fold WHERE account_id = p_account;
    END IF;
    WHILE part > 0 AND missing > 0 LOOP
        SELECT * INTO upper_end FROM credits_fold WHERE account_id = p_account AND number = part;
        IF upper_end.oldest_at >= p_until THEN  -- nothing here is early enough
            SELECT max(number) INTO part FROM credits_fold
            WHERE account_id = p_account AND number < part AND oldest_at < p_until;
            CONTINUE;
        END IF;
        SELECT * INTO lower_end FROM credits_fold WHERE account_id = p_account AND number = part - 1;
        IF lower_end.number IS NULL THEN
            lower_end.upto_epoch := 0;
            lower_end.upto_xid := '0';
            lower_end.balance := 0;
            lower_end.entries := 0;
        END IF;
        IF upper_end.number IS NULL THEN
            SELECT count(*) AS entries, coalesce(sum(entry.amount), 0) AS total INTO tail
            FROM credits_entry AS entry
            WHERE entry.account_id = p_account AND entry.seq IS NULL
                AND (entry.epoch, entry.xid) > (lower_end.upto_epoch, lower_end.upto_xid)
                AND (entry.epoch, entry.xid) < (horizon.epoch, horizon.xid);
            upper_end.upto_epoch := horizon.epoch;
            upper_end.upto_xid := horizon.xid;
            upper_end.balance := lower_end.balance + tail.total;
            upper_end.entries := lower_end.entries + tail.entries;
        END IF;
        RETURN QUERY
        SELECT line.posting_id, posting.kind::text, line.amount::bigint,
            (upper_end.balance - line.newer_or_own + line.amount)::bigint, posting.subject::text,
            posting.memo::text, line.created_at, upper_end.entries + 1 - line.place
        FROM (
            SELECT entry.epoch, entry.xid, entry.posting_id, entry.amount, entry.created_at,
                row_number() OVER newest_first AS place,
                sum(entry.amount) OVER newest_first AS newer_or_own
            FROM credits_entry AS entry
            WHERE entry.account_id = p_account AND entry.seq IS NULL
                AND (entry.epoch, entry.xid) > (lower_end.upto_epoch, lower_end.upto_xid)
                AND (entry.epoch, entry.xid) <= (upper_end.upto_epoch, upper_end.upto_xid)
                AND (entry.epoch, entry.xid) < (horizon.epoch, horizon.xid)
            -- ROWS: the default frame would look ahead for entries of the same place.
            WINDOW newest_first AS (
                ORDER BY entry.epoch DESC, entry.xid DESC, entry.posting_id DESC ROWS UNBOUNDED PRECEDING)
        ) AS line JOIN credits_posting AS posting ON posting.id = line.posting_id
        WHERE (p_before IS NULL OR upper_end.entries + 1 - line.place < p_before)
            AND (p_kinds IS NULL OR posting.kind = ANY (p_kinds))
            AND (p_since IS NULL OR line.created_at >= p_since)
            AND (p_until IS NULL OR line.created_at < p_until)
        -- The order of the index, so that nothing is sorted and reading ends with the page.
        ORDER BY line.epoch DESC, line.xid DESC, line.posting_id DESC LIMIT missing;
        GET DIAGNOSTICS found_lines = ROW_COUNT;
        missing := missing - found_lines;
        EXIT WHEN lower_end.newest_at < p_since;  -- everything below is too early
        part := part - 1;
    END LOOP;
END $$;

-- An account's lines, newest first, beginning below number p_before. Of a derived account: the
-- entries below the horizon, numbered in the order (epoch, xid, id), which no later commit changes.
CREATE OR REPLACE FUNCTION credits_statement(
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
    ELSIF account_mode = 'derived' THEN
        RETURN QUERY SELECT * FROM credits_derived_statement(
            p_account, p_before, p_limit, p_kinds, p_since, p_until);
        RETURN;
    END IF;
    IF p_since IS NOT NULL THEN
        above := credits_seq_before(p_account, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        below := least(below, credits_seq_before(p_account, p_until) + 1);
    END IF;
    RETURN QUERY
    SELECT entry.posting_id, posting.kind::text, entry.amount::bigint, entry.balance_after,
        posting.subject::text, posting.memo::text, entry.created_at, entry.seq::bigint
    FROM credits_entry AS entry JOIN credits_posting AS posting ON posting.id = entry.posting_id
    WHERE entry.account_id = p_account AND entry.seq > above AND entry.seq < below
        AND (p_kinds IS NULL OR posting.kind = ANY (p_kinds))
    ORDER BY entry.seq DESC LIMIT p_limit;
END $$;
