SET LOCAL lock_timeout = '5s';

-- The edges of subtasks; see 0002_transitions.sql.
INSERT INTO tasks_transition (source, target) VALUES
    ('blocked', 'open'),
    ('blocked', 'offered'),
    ('blocked', 'cancelled'),
    ('open', 'closing'),
    ('offered', 'closing'),
    ('claimed', 'closing'),
    ('closing', 'cancelled'),
    ('closing', 'expired');

-- Every task from before is the root of its own tree, and its money its own.
UPDATE tasks_task SET funding_root = id WHERE funding_root IS NULL;
