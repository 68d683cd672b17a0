SET LOCAL lock_timeout = '5s';

-- A place in the log: the epoch (raised when a dump is restored and xids start again), the writing
-- transaction, and the id within it.
ALTER TABLE events_event
    ADD COLUMN epoch integer NOT NULL DEFAULT xid_epoch(),
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();

-- Who may read which event; a feed is one range of this primary key.
CREATE TABLE events_feed (
    participant_id uuid NOT NULL REFERENCES participants_participant (id),
    epoch integer NOT NULL,
    xid xid8 NOT NULL,
    event_id uuid NOT NULL REFERENCES events_event (id),
    PRIMARY KEY (participant_id, epoch, xid, event_id)
);

-- The log is append-only: what happened is not edited.
CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: record another event instead' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER events_event_append_only BEFORE UPDATE OR DELETE ON events_event
    FOR EACH ROW EXECUTE FUNCTION events_append_only();
