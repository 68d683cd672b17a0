SET LOCAL lock_timeout = '5s';

-- The state machine of a dispute once more, for the database: marketplace/disputes/states.py is its
-- source, and a test holds the two against each other. A later change of the table is a migration.
CREATE TABLE disputes_step (
    source varchar(13) NOT NULL,
    target varchar(13) NOT NULL,
    PRIMARY KEY (source, target)
);
INSERT INTO disputes_step (source, target) VALUES
    ('evidence', 'voting'),
    ('evidence', 'administrator'),
    ('voting', 'decided'),
    ('voting', 'administrator'),
    ('voting', 'settled'),
    ('administrator', 'decided'),
    ('decided', 'appealed'),
    ('decided', 'settled'),
    ('appealed', 'settled');

CREATE FUNCTION disputes_only_known_steps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM disputes_step WHERE source = OLD.state AND target = NEW.state) THEN
        RAISE EXCEPTION 'a dispute does not go from % to %', OLD.state, NEW.state USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER disputes_dispute_step BEFORE UPDATE OF state ON disputes_dispute
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION disputes_only_known_steps();

-- What was said stays said: who opened a dispute and why, what was handed in, how a seat voted, what
-- was decided. Draws stay what they were: a pool and a seed are written once.
CREATE FUNCTION disputes_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was said or drawn in a dispute never changes' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER disputes_dispute_immutable
    BEFORE UPDATE OF task_id, claim_id, delivery_id, cause, opener_id, reason, deposit, opened_at
    ON disputes_dispute FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_dispute_drawn_once BEFORE UPDATE OF seed, pool ON disputes_dispute
    FOR EACH ROW WHEN (
        OLD.seed IS NOT NULL AND (OLD.seed IS DISTINCT FROM NEW.seed OR OLD.pool <> NEW.pool))
    EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_dispute_kept BEFORE DELETE ON disputes_dispute
    FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_evidence_immutable BEFORE UPDATE OR DELETE ON disputes_evidence
    FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_evidencefile_immutable BEFORE UPDATE OR DELETE ON disputes_evidencefile
    FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_decision_immutable BEFORE UPDATE OR DELETE ON disputes_decision
    FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_seat_answered BEFORE UPDATE OF state, ended_at, share_bps, pick_id, rationale
    ON disputes_seat FOR EACH ROW WHEN (OLD.state <> 'open')
    EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_seat_immutable
    BEFORE UPDATE OF dispute_id, position, redraw, panelist_id, operator_id, seated_at
    ON disputes_seat FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
CREATE TRIGGER disputes_seat_kept BEFORE DELETE ON disputes_seat
    FOR EACH ROW EXECUTE FUNCTION disputes_is_immutable();
