CREATE OR REPLACE FUNCTION credits_refuse_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('credits.writing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is written by the ledger''s functions alone', TG_TABLE_NAME
        USING ERRCODE = 'HL012', DETAIL = json_build_object('table', TG_TABLE_NAME);
END $$;

CREATE OR REPLACE FUNCTION credits_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT sum(amount) AS total INTO wrong FROM new_entries
    GROUP BY posting_id HAVING sum(amount) <> 0 OR count(*) < 2 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of a posting add up to zero' USING ERRCODE = 'HL005',
            DETAIL = json_build_object('total', wrong.total);
    END IF;
    RETURN NULL;
END $$;

