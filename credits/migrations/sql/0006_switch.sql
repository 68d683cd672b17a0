-- The switch: stops everything that writes to the ledger, at once and in the database, until somebody lifts
-- it. Reading goes on. It is thrown when an audit finds the books wrong, or by hand.
--
-- The switch is a trigger on each of the ledger's tables, which is disabled while money moves: a posting
-- has nothing to read and nothing to pay for it. Whether a trigger is enabled is no row that a snapshot
-- could be too old to see: a statement learns of it after it got its lock on the table, whatever the
-- isolation of its transaction. Enabling it waits for every transaction that has written (their locks on
-- the tables last as long as they), and whoever waits for that is refused. So nothing is written after the
-- transaction that threw the switch. Readers, a backup among them, neither wait nor are waited for.

CREATE TABLE credits_switch (
    -- Of two who turn it at once, one writes the next turn.
    number bigint PRIMARY KEY,
    -- Writing stops, or resumes.
    stops boolean NOT NULL,
    reason text NOT NULL,
    -- Who turned it; opaque here.
    actor text NOT NULL,
    turned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The first turn is number 1.
    CONSTRAINT credits_switch_numbers_from_one CHECK (number >= 1),
    -- Whoever turns it says why, for everybody who has to deal with it later.
    CONSTRAINT credits_switch_reason_is_short CHECK (char_length(reason) BETWEEN 1 AND 1000),
    CONSTRAINT credits_switch_actor_is_short CHECK (char_length(actor) BETWEEN 1 AND 200)
);

CREATE FUNCTION credits_check_turn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    earlier credits_switch;
BEGIN
    SELECT * INTO earlier FROM credits_switch ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(earlier.number, 0) + 1 OR NEW.stops = coalesce(earlier.stops, false)
        OR NEW.turned_at < earlier.turned_at
    THEN
        RAISE EXCEPTION 'a turn follows the one before it' USING ERRCODE = 'HL016',
            DETAIL = json_build_object('table', TG_TABLE_NAME, 'number', NEW.number);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER credits_switch_follows
    BEFORE INSERT ON credits_switch FOR EACH ROW EXECUTE FUNCTION credits_check_turn();
CREATE TRIGGER credits_switch_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credits_switch
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_change();

CREATE FUNCTION credits_refuse_writing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'money is read-only' USING ERRCODE = 'HL017', DETAIL = '{}',
        HINT = 'SELECT * FROM credits_switch ORDER BY number says why; nothing was written.';
END $$;

CREATE TRIGGER credits_money_is_read_only
    BEFORE INSERT ON credits_posting FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_writing();
CREATE TRIGGER credits_money_is_read_only
    BEFORE INSERT ON credits_entry FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_writing();
CREATE TRIGGER credits_money_is_read_only
    BEFORE INSERT OR UPDATE ON credits_account FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_writing();
-- A fold or a block of wrong entries would stay wrong when the entries have been put right.
CREATE TRIGGER credits_money_is_read_only
    BEFORE INSERT ON credits_fold FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_writing();
CREATE TRIGGER credits_money_is_read_only
    BEFORE INSERT ON credits_seal FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_writing();
ALTER TABLE credits_posting DISABLE TRIGGER credits_money_is_read_only;
ALTER TABLE credits_entry DISABLE TRIGGER credits_money_is_read_only;
ALTER TABLE credits_account DISABLE TRIGGER credits_money_is_read_only;
ALTER TABLE credits_fold DISABLE TRIGGER credits_money_is_read_only;
ALTER TABLE credits_seal DISABLE TRIGGER credits_money_is_read_only;

-- Turns the switch and records who did and why; false where it stands so already.
--
-- Postings lock postings first, so the switch does too, and seldom crosses one. It waits for longer than
-- deadlock_timeout (one second), because then PostgreSQL sends an autovacuum away that holds a table, and
-- not much longer, because every posting queues behind it meanwhile. Whoever is refused tries again.
CREATE FUNCTION credits_turn_switch(p_stops boolean, p_reason text, p_actor text) RETURNS boolean
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    guarded text;
    last credits_switch;
BEGIN
    LOCK TABLE credits_posting, credits_entry, credits_account, credits_fold, credits_seal
        IN SHARE ROW EXCLUSIVE MODE;
    -- In any case: somebody may have meddled with the triggers.
    FOREACH guarded IN ARRAY ARRAY[
        'credits_posting', 'credits_entry', 'credits_account', 'credits_fold', 'credits_seal'
    ] LOOP
        EXECUTE format('ALTER TABLE %I %s TRIGGER credits_money_is_read_only', guarded,
            CASE WHEN p_stops THEN 'ENABLE' ELSE 'DISABLE' END);
    END LOOP;
    SELECT * INTO last FROM credits_switch ORDER BY number DESC LIMIT 1;
    IF coalesce(last.stops, false) = p_stops THEN
        RETURN false;
    END IF;
    INSERT INTO credits_switch (number, stops, reason, actor, turned_at)
    VALUES (coalesce(last.number, 0) + 1, p_stops, p_reason, p_actor,
        greatest(clock_timestamp(), last.turned_at));
    RETURN true;
END $$;

-- From here on nothing is written to the ledger; false where that is so already.
CREATE FUNCTION credits_stop_writing(p_reason text, p_actor text) RETURNS boolean
LANGUAGE sql AS 'SELECT credits_turn_switch(true, p_reason, p_actor)';

-- The ledger is written again; false where it is so already.
CREATE FUNCTION credits_resume_writing(p_reason text, p_actor text) RETURNS boolean
LANGUAGE sql AS 'SELECT credits_turn_switch(false, p_reason, p_actor)';

-- Public functions run with the rights of their owner, the others are for the owner alone (0005_roles.sql).
DO $$
DECLARE
    call regprocedure;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'credits_stop_writing(text, text)', 'credits_resume_writing(text, text)'
    ]::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp',
            call, current_schema());
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION credits_stop_writing, credits_resume_writing, credits_turn_switch,
    credits_refuse_writing, credits_check_turn FROM PUBLIC;
