DROP TRIGGER delivery_delivery_first_decision ON delivery_delivery;
CREATE TRIGGER delivery_delivery_first_decision
    BEFORE UPDATE OF first_decision, first_decided_at, at_stake ON delivery_delivery
    FOR EACH ROW WHEN (
        OLD.first_decision <> ''
        AND (OLD.first_decision, OLD.first_decided_at, OLD.at_stake)
            IS DISTINCT FROM (NEW.first_decision, NEW.first_decided_at, NEW.at_stake)
    )
    EXECUTE FUNCTION delivery_first_decision_stays();
