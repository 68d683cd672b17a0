SET LOCAL lock_timeout = '5s';

-- The edges of disputes; see 0002_transitions.sql.
INSERT INTO tasks_transition (source, target) VALUES
    ('submitted', 'disputed'),
    ('claimed', 'disputed'),
    ('disputed', 'accepted'),
    ('disputed', 'cancelled');
