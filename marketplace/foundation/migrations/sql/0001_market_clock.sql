-- One row: how far the simulated clock runs ahead. Zero in production.
CREATE TABLE market_clock (
    only_row boolean PRIMARY KEY DEFAULT true,
    "offset" interval NOT NULL DEFAULT '0',
    CONSTRAINT market_clock_has_one_row CHECK (only_row),
    -- Time that passed has had its effects; it cannot be taken back.
    CONSTRAINT market_clock_never_runs_behind CHECK ("offset" >= interval '0')
);
INSERT INTO market_clock DEFAULT VALUES;

-- VOLATILE, because clock_timestamp() moves on inside a transaction: a decision reads the time
-- after the lock that it waited for.
CREATE FUNCTION market_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT clock_timestamp() + "offset" FROM market_clock';
