SET LOCAL lock_timeout = '5s';

-- The state machine once more, for the database: marketplace/tasks/states.py is its source, and a
-- test holds the two against each other. A later change of the table is a migration.
CREATE TABLE tasks_transition (
    source varchar(12) NOT NULL,
    target varchar(12) NOT NULL,
    PRIMARY KEY (source, target)
);
INSERT INTO tasks_transition (source, target) VALUES
    ('open', 'claimed'),
    ('open', 'cancelled'),
    ('open', 'expired'),
    ('claimed', 'submitted'),
    ('claimed', 'open'),
    ('claimed', 'cancelled'),
    ('claimed', 'expired'),
    ('submitted', 'accepted'),
    ('submitted', 'claimed');

-- Whatever writes a task's state, by whichever way, takes an edge of the table.
CREATE FUNCTION tasks_only_known_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tasks_transition WHERE source = OLD.state AND target = NEW.state) THEN
        RAISE EXCEPTION 'a task does not go from % to %', OLD.state, NEW.state USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tasks_task_transition BEFORE UPDATE OF state ON tasks_task
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION tasks_only_known_transitions();
