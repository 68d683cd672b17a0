-- A public id inside a query, for audits and for people at a prompt; `ids.encode` says the same in
-- Python, and a test holds the two together. 128 bits behind two zero bits are 26 digits of base 32.
CREATE FUNCTION typeid(prefix text, id uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT prefix || '_' || string_agg(
        substr(
            '0123456789abcdefghjkmnpqrstvwxyz',
            1 + substring(B'00' || ('x' || replace(id::text, '-', ''))::bit(128) FROM digit * 5 + 1 FOR 5)
                ::bit(5)::integer,
            1
        ), '' ORDER BY digit)
    FROM generate_series(0, 25) AS digit
$$;
