SET LOCAL lock_timeout = '5s';

-- Deliveries are kept as they were made (rule 9): what is decided about them may change, what was
-- delivered may not.
CREATE FUNCTION delivery_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was delivered never changes: deliver again instead' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER delivery_delivery_immutable
    BEFORE UPDATE OF task_id, claim_id, worker_id, number, summary, result, uses, evidence, usage,
        created_at
    ON delivery_delivery FOR EACH ROW EXECUTE FUNCTION delivery_is_immutable();
CREATE TRIGGER delivery_delivery_kept BEFORE DELETE ON delivery_delivery
    FOR EACH ROW EXECUTE FUNCTION delivery_is_immutable();
CREATE TRIGGER delivery_deliveryfile_immutable BEFORE UPDATE OR DELETE ON delivery_deliveryfile
    FOR EACH ROW EXECUTE FUNCTION delivery_is_immutable();
