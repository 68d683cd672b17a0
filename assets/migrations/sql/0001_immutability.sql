-- A published version never changes, whoever asks: the digest that somebody pinned, the lock that
-- somebody was given and the shares that are paid are facts.

-- The transaction that published a version. Its files, edges, closure and shares can be written by
-- that transaction and by no later one, so nothing can be slipped into a version afterwards.
-- The top-level id, because a savepoint has an xmin of its own.
ALTER TABLE assets_version ADD COLUMN published_xid xid8 NOT NULL DEFAULT pg_current_xact_id();

CREATE FUNCTION assets_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only; publish another version instead', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION assets_allow_yank_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - ARRAY['yanked_at', 'yank_reason']
            IS DISTINCT FROM to_jsonb(OLD) - ARRAY['yanked_at', 'yank_reason'] THEN
        RAISE EXCEPTION 'a published version is immutable; publish another one or yank it'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- Whoever read that a version is yanked may rely on it, and on why.
    IF OLD.yanked_at IS NOT NULL THEN
        RAISE EXCEPTION 'a version is yanked once and stays yanked'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- Runs once a statement over all its rows: a closure of 256 is one look.
CREATE FUNCTION assets_only_while_publishing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added JOIN assets_version ON assets_version.id = added.version_id
        WHERE assets_version.published_xid <> pg_current_xact_id()
    ) THEN
        RAISE EXCEPTION '% of a published version is complete', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER assets_version_update BEFORE UPDATE ON assets_version
    FOR EACH ROW EXECUTE FUNCTION assets_allow_yank_only();
CREATE TRIGGER assets_version_delete BEFORE DELETE ON assets_version
    FOR EACH ROW EXECUTE FUNCTION assets_refuse_change();
CREATE TRIGGER assets_version_truncate BEFORE TRUNCATE ON assets_version
    FOR EACH STATEMENT EXECUTE FUNCTION assets_refuse_change();

DO $$
DECLARE part text;
BEGIN
    FOREACH part IN ARRAY
        ARRAY['assets_versionfile', 'assets_dependency', 'assets_closure', 'assets_share']
    LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I
            FOR EACH ROW EXECUTE FUNCTION assets_refuse_change()', part || '_change', part);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION assets_refuse_change()', part || '_truncate', part);
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION assets_only_while_publishing()',
            part || '_insert', part);
    END LOOP;
END $$;
