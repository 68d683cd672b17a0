-- Triggers: what must never be false although somebody writes SQL by hand. Each costs nothing, or one
-- pass over rows that are in memory, per posting.
-- A trigger BEFORE UPDATE on accounts is avoided: PostgreSQL would lock (and log) each row once more.

CREATE FUNCTION credits_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only; post a reversal instead', TG_TABLE_NAME
        USING ERRCODE = 'HL012', DETAIL = json_build_object('table', TG_TABLE_NAME);
END $$;

CREATE TRIGGER credits_posting_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credits_posting
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_change();
CREATE TRIGGER credits_entry_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credits_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_change();
CREATE TRIGGER credits_account_is_kept
    BEFORE DELETE OR TRUNCATE ON credits_account
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_change();
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

-- Every INSERT of entries holds whole postings, and agrees with the accounts that it names.
CREATE FUNCTION credits_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER credits_entry_is_checked
    AFTER INSERT ON credits_entry REFERENCING NEW TABLE AS new_entries
    FOR EACH STATEMENT EXECUTE FUNCTION credits_check_entries();
