SET LOCAL lock_timeout = '5s';
DELETE FROM tasks_transition WHERE source IN ('blocked', 'closing') OR target = 'closing';
