-- The market's clock can stand still (market_rules.md, rule 5). While it stands, `stands_at` is what it shows;
-- when it goes on, it goes on from there, so that every limit of time is as far away as before.
ALTER TABLE market_clock ADD COLUMN stands_at timestamptz;
-- A clock that has stood still is behind the database's for good.
ALTER TABLE market_clock DROP CONSTRAINT market_clock_never_runs_behind;

CREATE OR REPLACE FUNCTION market_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT coalesce(stands_at, clock_timestamp() + "offset") FROM market_clock';
