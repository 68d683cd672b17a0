CREATE OR REPLACE FUNCTION market_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT clock_timestamp() + "offset" FROM market_clock';
-- A clock behind the database's catches up; what was due meanwhile is due at once.
UPDATE market_clock SET "offset" = greatest("offset", interval '0');
ALTER TABLE market_clock ADD CONSTRAINT market_clock_never_runs_behind CHECK ("offset" >= interval '0');
ALTER TABLE market_clock DROP COLUMN stands_at;
