CREATE INDEX credits_account_derived ON credits_account (id) WHERE mode = 'derived';

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
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION credits_settle(uuid, text, text, bytea, text, text, text, bigint[], bigint[])'
        ' SET search_path = %I, pg_temp', current_schema());
END $$;

-- By now 0011 has put back what called it.
DROP FUNCTION credits_leg(bigint, bigint[], bigint[]);
