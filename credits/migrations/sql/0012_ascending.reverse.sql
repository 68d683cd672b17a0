CREATE INDEX credits_account_derived ON credits_account (id) WHERE mode = 'derived';

CREATE OR REPLACE FUNCTION credits_refuse_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF starts_with(current_setting('credits.writing', true), 'on') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is written by the ledger''s functions alone', TG_TABLE_NAME
        USING ERRCODE = 'HL012', DETAIL = json_build_object('table', TG_TABLE_NAME);
END $$;
CREATE TRIGGER credits_entry_is_made_by_function
    BEFORE INSERT ON credits_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_by_hand();

CREATE OR REPLACE FUNCTION credits_settle(
    p_id uuid, p_reference text, p_kind text, p_digest bytea, p_memo text, p_subject text,
    p_work text, p_accounts bigint[], p_amounts bigint[]
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    escrow bigint := (
        SELECT id FROM credits_account WHERE kind = 'escrow' AND reference = p_work);
    parts bigint := 0;
    part bigint;
BEGIN
    IF escrow IS NULL THEN
        PERFORM credits_refuse_escrow(p_work);
    ELSIF escrow = ANY (p_accounts) THEN
        PERFORM credits_refuse_twice(escrow);
    END IF;
    FOREACH part IN ARRAY p_amounts LOOP
        parts := parts + part;
    END LOOP;
    RETURN credits_post(p_id, p_reference, p_kind, p_digest, p_memo, p_subject, NULL,
                        p_accounts || escrow, p_amounts || -parts, escrow);
END $$;

CREATE OR REPLACE FUNCTION credits_reverse(
    p_id uuid, p_posting uuid, p_reference text, p_digest bytea, p_memo text
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    about text;
    accounts bigint[];
    amounts bigint[];
BEGIN
    SELECT subject INTO about FROM credits_posting WHERE id = p_posting;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no posting %', p_posting
            USING ERRCODE = 'HL014', DETAIL = json_build_object('posting', p_posting);
    END IF;
    SELECT array_agg(account_id), array_agg(-amount) INTO accounts, amounts
    FROM credits_entry WHERE posting_id = p_posting;
    RETURN credits_post(p_id, p_reference, 'reversal', p_digest, p_memo, about, p_posting,
                        accounts, amounts, NULL);
END $$;

DO $$
DECLARE
    call regprocedure;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'credits_settle(uuid, text, text, bytea, text, text, text, bigint[], bigint[])',
        'credits_reverse(uuid, uuid, text, bytea, text)'
    ]::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', call, current_schema());
    END LOOP;
END $$;

-- By now 0011 has put back what called these.
DROP FUNCTION credits_leg(bigint, bigint[], bigint[]);
DROP FUNCTION credits_refuse_writer(name);
