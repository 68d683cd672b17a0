-- Sealed books: blocks of entries, each with the root of a Merkle tree over its entries and the hash of
-- the block before it. Who has noted one hash can tell later whether anything before it was changed.
-- credits/seals.py writes and reads the blocks, credits/verifier.py says what is hashed, and how.

-- The order in which entries are sealed: (epoch, xid, posting, account). Postings carry it for their
-- entries, so that a posting of twelve entries maintains it once. Not BRIN: it has no operators for
-- xid8, and space that a refused posting leaves is used again, so pages do not stay in this order.
CREATE INDEX credits_posting_order ON credits_posting (epoch, xid, id);

CREATE TABLE credits_seal (
    -- Of two sealers at once, one writes the next block.
    number bigint PRIMARY KEY,
    previous bytea NOT NULL,
    root bytea NOT NULL,
    hash bytea NOT NULL,
    entries integer NOT NULL,
    -- Blinds the leaves: the hash of the entry beside yours tells nothing, although you know its
    -- posting and could guess the rest. Never shown but in a whole export.
    salt bytea NOT NULL,
    -- The place of the block's last entry. All entries up to there are in this block or before it.
    upto_epoch integer NOT NULL,
    upto_xid xid8 NOT NULL,
    upto_posting uuid NOT NULL,
    upto_account bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    -- The first block is number 1.
    CONSTRAINT credits_seal_numbers_from_one CHECK (number >= 1),
    -- A block without an entry seals nothing.
    CONSTRAINT credits_seal_is_not_empty CHECK (entries >= 1),
    -- SHA-256 has 32 bytes, and a salt is worth as much.
    CONSTRAINT credits_seal_hashes_are_sha256 CHECK (
        octet_length(previous) = 32 AND octet_length(root) = 32
        AND octet_length(hash) = 32 AND octet_length(salt) = 32),
    -- Also finds the block of an entry: the first that does not end before it.
    CONSTRAINT credits_seal_ends_once UNIQUE (upto_epoch, upto_xid, upto_posting, upto_account)
);

CREATE FUNCTION credits_check_seal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    earlier credits_seal;
BEGIN
    SELECT * INTO earlier FROM credits_seal ORDER BY number DESC LIMIT 1;
    -- A number that is taken is left to the primary key, so that the later of two sealers can be
    -- told apart from one that skips a number.
    IF NEW.number > coalesce(earlier.number, 0) AND (
        NEW.number <> coalesce(earlier.number, 0) + 1
        OR NEW.previous <> coalesce(earlier.hash, decode(repeat('00', 32), 'hex'))
        OR (NEW.upto_epoch, NEW.upto_xid, NEW.upto_posting, NEW.upto_account)
            <= (earlier.upto_epoch, earlier.upto_xid, earlier.upto_posting, earlier.upto_account)
        OR NEW.sealed_at < earlier.sealed_at)
    THEN
        RAISE EXCEPTION 'a seal goes on where the one before it ended' USING ERRCODE = 'HL016',
            DETAIL = json_build_object('table', TG_TABLE_NAME, 'number', NEW.number);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER credits_seal_follows
    BEFORE INSERT ON credits_seal FOR EACH ROW EXECUTE FUNCTION credits_check_seal();
CREATE TRIGGER credits_seal_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credits_seal
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_change();

-- The settled entries after a place, in the order in which they are sealed, with what their postings
-- say. Planner settings: a range of credits_posting_order is read, however old the statistics are.
CREATE FUNCTION credits_in_order(
    p_epoch integer, p_xid xid8, p_posting uuid, p_account bigint, p_limit integer
) RETURNS TABLE (
    posting_epoch integer, posting_xid text, posting uuid, kind text, reference text, digest bytea,
    memo text, subject text, reverses uuid, posting_created_at timestamptz,
    epoch integer, xid text, account bigint, amount bigint, seq bigint, balance_after bigint,
    created_at timestamptz
) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    horizon record;
BEGIN
    SELECT * INTO horizon FROM credits_horizon();
    RETURN QUERY
    SELECT made.epoch, made.xid::text, made.id, made.kind::text, made.reference::text,
        made.digest::bytea, made.memo::text, made.subject::text, made.reverses, made.created_at,
        entry.epoch, entry.xid::text, entry.account_id, entry.amount::bigint, entry.seq::bigint,
        entry.balance_after, entry.created_at
    FROM credits_posting AS made JOIN credits_entry AS entry ON entry.posting_id = made.id
    WHERE (made.epoch, made.xid, made.id) >= (p_epoch, p_xid, p_posting)
        AND (made.epoch, made.xid) < (horizon.epoch, horizon.xid)
        AND (made.epoch, made.xid, made.id, entry.account_id) > (p_epoch, p_xid, p_posting, p_account)
    ORDER BY made.epoch, made.xid, made.id, entry.account_id LIMIT p_limit;
END $$;
