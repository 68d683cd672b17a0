SET LOCAL lock_timeout = '5s';
DELETE FROM tasks_transition WHERE (source, target) IN (
    ('open', 'offered'),
    ('open', 'submitted'),
    ('offered', 'claimed'),
    ('offered', 'open'),
    ('offered', 'cancelled'),
    ('submitted', 'expired'));
