SET LOCAL lock_timeout = '5s';
DELETE FROM tasks_transition WHERE source = 'disputed' OR target = 'disputed';
