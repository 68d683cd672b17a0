-- What a search finds an asset by: its name before its tags before its description. IMMUTABLE is
-- true although array_to_string() is declared STABLE: it is so only for element types whose text
-- depends on settings, and these are text. 'simple' knows no language and drops no word.
CREATE FUNCTION assets_search_of(name text, description text, tags text[]) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('pg_catalog.simple', name), 'A')
        || setweight(to_tsvector('pg_catalog.simple', array_to_string(tags, ' ')), 'B')
        || setweight(to_tsvector('pg_catalog.simple', description), 'C')
$$;
