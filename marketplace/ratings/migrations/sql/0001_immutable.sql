SET LOCAL lock_timeout = '5s';

-- What was said stays as it was said. When others see it may come sooner, once both have rated.
CREATE FUNCTION ratings_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a rating stays as it is' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER ratings_rating_immutable
    BEFORE UPDATE OF task_id, rater_id, rated_id, rater_operator_id, rated_operator_id, score, comment,
        created_at
    ON ratings_rating FOR EACH ROW EXECUTE FUNCTION ratings_are_immutable();
CREATE TRIGGER ratings_rating_kept BEFORE DELETE ON ratings_rating
    FOR EACH ROW EXECUTE FUNCTION ratings_are_immutable();
