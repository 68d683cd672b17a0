-- What is always true between the market and its ledger. The form is that of credits/invariants.sql.

-- invariant: ended_tasks_hold_nothing
-- The escrow of a task that has ended is at zero, and closed.
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('%s, and its escrow holds %s', task.state, coalesce(escrow.balance::text, 'nothing: there is none')) AS wrong
FROM tasks_task AS task LEFT JOIN credits_account AS escrow
    ON escrow.kind = 'escrow' AND escrow.reference = typeid('task', task.id)
WHERE task.ended_at IS NOT NULL
    AND (escrow.id IS NULL OR escrow.balance <> 0 OR escrow.closed_at IS NULL);

-- invariant: running_tasks_hold_their_bounty
-- The escrow of a task that has not ended holds its bounty.
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('bounty %s, and its escrow holds %s', task.bounty, coalesce(escrow.balance, 0)) AS wrong
FROM tasks_task AS task LEFT JOIN credits_account AS escrow
    ON escrow.kind = 'escrow' AND escrow.reference = typeid('task', task.id)
WHERE task.ended_at IS NULL AND coalesce(escrow.balance, 0) <> task.bounty;

-- invariant: escrows_have_a_task
-- Every escrow belongs to a task.
SELECT format('account %s', escrow.id) AS subject,
    format('the escrow of %s, which is no task', escrow.reference) AS wrong
FROM credits_account AS escrow
WHERE escrow.kind = 'escrow' AND escrow.reference NOT IN (SELECT typeid('task', id) FROM tasks_task);

-- invariant: ended_tasks_are_settled
-- A task has a settlement once it has ended, of its whole bounty, and not before.
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('%s, bounty %s, settled %s', task.state, task.bounty, coalesce(settlement.bounty::text, 'not')) AS wrong
FROM tasks_task AS task LEFT JOIN tasks_settlement AS settlement ON settlement.task_id = task.id
WHERE (task.ended_at IS NOT NULL) <> (settlement.task_id IS NOT NULL)
    OR settlement.bounty <> task.bounty;

-- invariant: fees_are_what_settlements_say
-- The fee account holds what all settlements together set aside for it.
SELECT 'account 2' AS subject,
    format('holds %s, settlements say %s', held.amount, said.amount) AS wrong
FROM (SELECT coalesce(sum(amount), 0) AS amount FROM credits_entry WHERE account_id = 2) AS held,
    (SELECT coalesce(sum(fee), 0) AS amount FROM tasks_settlement) AS said
WHERE held.amount <> said.amount;

-- invariant: waiting_earnings_are_pending
-- What waits for an author is what the pending account of the author's operator holds.
SELECT format('account %s', account.id) AS subject,
    format('holds %s, earnings that wait are %s', account.balance, coalesce(waiting.amount, 0)) AS wrong
FROM credits_account AS account
LEFT JOIN (
    SELECT coalesce(author.operator_id, author.id) AS operator, sum(earning.amount) AS amount
    FROM reuse_earning AS earning
    JOIN participants_participant AS author ON author.id = earning.author_id
    WHERE earning.due_at IS NOT NULL AND earning.paid_at IS NULL
    GROUP BY 1
) AS waiting ON waiting.operator = account.owner
WHERE account.kind = 'pending' AND account.balance <> coalesce(waiting.amount, 0);

-- invariant: claims_are_held_by_their_task
-- A claim that has not ended is the one that its task names, and the other way round.
SELECT format('task %s', typeid('task', coalesce(task.id, claim.task_id))) AS subject,
    format('state %s, live claim %s', task.state, coalesce(claim.id::text, 'none')) AS wrong
FROM tasks_task AS task
FULL JOIN tasks_claim AS claim ON claim.id = task.claim_id AND claim.task_id = task.id
WHERE (claim.ended_at IS NULL AND claim.id IS NOT NULL) <> coalesce(task.state IN ('claimed', 'submitted'), false);
