SET LOCAL lock_timeout = '5s';

-- What was said stays as it was said. Staff redact by a row beside it (moderation_hiding).
CREATE FUNCTION threads_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'messages never change: write another one, or let staff redact it'
        USING ERRCODE = '23514';
END $$;
CREATE TRIGGER threads_message_immutable BEFORE UPDATE OR DELETE ON threads_message
    FOR EACH ROW EXECUTE FUNCTION threads_is_immutable();
CREATE TRIGGER threads_messagefile_immutable BEFORE UPDATE OR DELETE ON threads_messagefile
    FOR EACH ROW EXECUTE FUNCTION threads_is_immutable();
