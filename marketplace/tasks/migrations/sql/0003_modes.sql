SET LOCAL lock_timeout = '5s';

-- The edges of bids, offers and contests; see 0002_transitions.sql.
INSERT INTO tasks_transition (source, target) VALUES
    ('open', 'offered'),
    ('open', 'submitted'),
    ('offered', 'claimed'),
    ('offered', 'open'),
    ('offered', 'cancelled'),
    ('submitted', 'expired');

-- What the workers of tasks that have ended were paid, in the table that names them one by one.
INSERT INTO tasks_settlementpayment (settlement_id, claim_id, worker_id, gross, fee)
SELECT task_id, claim_id, worker_id, wages + fee, fee
FROM tasks_settlement WHERE wages + fee > 0 AND claim_id IS NOT NULL;
