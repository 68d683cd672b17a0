-- Ratings have a table of their own, and were for everybody to see at once until now.
INSERT INTO ratings_rating
    (id, task_id, rater_id, rated_id, rater_operator_id, rated_operator_id, score, comment, created_at, shown_at)
SELECT delivery.id, delivery.task_id, task.poster_id, delivery.worker_id, task.poster_operator_id,
    claim.operator_id, delivery.rating, delivery.comment, delivery.decided_at, delivery.decided_at
FROM delivery_delivery AS delivery
JOIN tasks_task AS task ON task.id = delivery.task_id
JOIN tasks_claim AS claim ON claim.id = delivery.claim_id
WHERE delivery.rating IS NOT NULL;
UPDATE delivery_delivery SET comment = '' WHERE rating IS NOT NULL;

-- Who decided stood in the event; of a task that has ended, what was at stake is known for certain.
UPDATE delivery_delivery AS delivery
SET first_decision = event.data ->> 'by', first_decided_at = delivery.decided_at,
    at_stake = coalesce(task.price, task.bounty)
FROM events_event AS event, tasks_task AS task
WHERE event.type IN ('delivery.accepted', 'delivery.rejected')
    AND event.subject_id = typeid('delivery', delivery.id)
    AND task.id = delivery.task_id AND delivery.decided_at IS NOT NULL;

CREATE FUNCTION delivery_first_decision_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the first decision about a delivery never changes' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER delivery_delivery_first_decision
    BEFORE UPDATE OF first_decision, first_decided_at, at_stake ON delivery_delivery
    FOR EACH ROW WHEN (
        OLD.first_decision <> ''
        AND (OLD.first_decision, OLD.first_decided_at, OLD.at_stake)
            IS DISTINCT FROM (NEW.first_decision, NEW.first_decided_at, NEW.at_stake)
    )
    EXECUTE FUNCTION delivery_first_decision_stays();
