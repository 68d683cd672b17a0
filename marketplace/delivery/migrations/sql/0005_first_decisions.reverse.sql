DROP TRIGGER delivery_delivery_first_decision ON delivery_delivery;
DROP FUNCTION delivery_first_decision_stays();
UPDATE delivery_delivery AS delivery SET rating = said.score, comment = said.comment
FROM ratings_rating AS said
JOIN tasks_task AS task ON task.id = said.task_id
WHERE delivery.task_id = said.task_id AND delivery.worker_id = said.rated_id
    AND said.rater_id = task.poster_id AND delivery.state = 'accepted';
