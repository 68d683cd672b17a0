-- What is always true between the market and its ledger. The form is that of credits/invariants.sql.
--
-- A task that ends leaves its row as it is, so an audit of what is new looks at running tasks and those that
-- ended lately. The market's clock may be behind the database's, which since() is read from, never by less
-- than it was when the task ended, unless a simulation moved it forward.

-- money invariant: ended_tasks_hold_nothing
-- The escrow of a task that has ended is at zero, and closed.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('%s, and its escrow holds %s', task.state, coalesce(escrow.balance::text, 'nothing: there is none')) AS wrong
FROM tasks_task AS task LEFT JOIN credits_account AS escrow
    ON escrow.kind = 'escrow' AND escrow.reference = typeid('task', task.id)
WHERE in_chunk(task.id) AND task.ended_at IS NOT NULL
    AND task.ended_at >= since() - greatest(clock_timestamp() - market_now(), interval '0')
    AND (escrow.id IS NULL OR escrow.balance <> 0 OR escrow.closed_at IS NULL);

-- money invariant: running_tasks_hold_their_bounty
-- The escrow of a task that has not ended holds its bounty, less what subtasks have of it.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('bounty %s less %s of subtasks, and its escrow holds %s', task.bounty, task.delegated,
        coalesce(escrow.balance, 0)) AS wrong
FROM tasks_task AS task LEFT JOIN credits_account AS escrow
    ON escrow.kind = 'escrow' AND escrow.reference = typeid('task', task.id)
WHERE in_chunk(task.id) AND task.ended_at IS NULL
    AND coalesce(escrow.balance, 0) <> task.bounty - task.delegated;

-- money invariant: ended_tasks_are_settled
-- A task has a settlement once it has ended, of its whole bounty with what subtasks have, and not before.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('%s, bounty %s, settled %s', task.state, task.bounty, coalesce(settlement.bounty::text, 'not')) AS wrong
FROM tasks_task AS task LEFT JOIN tasks_settlement AS settlement ON settlement.task_id = task.id
WHERE in_chunk(task.id) AND (
    (task.ended_at IS NOT NULL) <> (settlement.task_id IS NOT NULL) OR settlement.bounty <> task.bounty
    OR settlement.subtasks <> task.delegated);

-- money invariant: delegated_is_what_subtasks_have
-- What a task's subtasks have of its escrow is their bounties, less what came back: refunds, and wages that a
-- dispute took back. These go to the next task upwards that had not ended then.
-- walk: tasks_task.id by 5000
WITH RECURSIVE way AS (
    SELECT child.parent_id AS receiver, child.source, release.returned, release.released_at
    FROM delegation_wagerelease AS release
    JOIN tasks_settlementpayment AS payment ON payment.id = release.payment_id
    JOIN tasks_task AS child ON child.id = payment.settlement_id
    WHERE release.returned > 0
    UNION ALL
    SELECT ended.parent_id, ended.source, way.returned, way.released_at
    FROM way JOIN tasks_task AS ended ON ended.id = way.receiver AND ended.ended_at <= way.released_at
    WHERE way.source = 'escrow'
), returned AS (
    SELECT way.receiver, sum(way.returned) AS amount
    FROM way JOIN tasks_task AS task ON task.id = way.receiver
    WHERE way.source = 'escrow' AND (task.ended_at IS NULL OR task.ended_at > way.released_at)
    GROUP BY way.receiver
)
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('says %s, and its subtasks have %s', task.delegated,
        coalesce(had.amount, 0) - coalesce(returned.amount, 0)) AS wrong
FROM tasks_task AS task
LEFT JOIN LATERAL (
    SELECT sum(child.bounty - coalesce(settlement.refund, 0)) AS amount
    FROM tasks_task AS child LEFT JOIN tasks_settlement AS settlement ON settlement.task_id = child.id
    WHERE child.parent_id = task.id AND child.source = 'escrow'
) AS had ON true
LEFT JOIN returned ON returned.receiver = task.id
WHERE in_chunk(task.id) AND (task.children > 0 OR task.delegated <> 0)
    AND task.delegated <> coalesce(had.amount, 0) - coalesce(returned.amount, 0);

-- money invariant: delegated_is_within_the_grant
-- Subtasks have no more of an escrow than its poster granted.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('subtasks have %s of %s, and %s basis points are granted', task.delegated, task.bounty,
        task.delegation_bps) AS wrong
FROM tasks_task AS task
WHERE in_chunk(task.id) AND task.delegated > task.bounty::numeric * task.delegation_bps / 10000;

-- money invariant: charged_is_what_the_claim_delegated
-- Whoever holds a task bears what its subtasks are charged with, and nobody else does.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('its claim delegated %s, and its subtasks are charged with %s', claim.delegated, child.charged) AS wrong
FROM tasks_task AS task
LEFT JOIN tasks_claim AS claim ON claim.id = task.claim_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(charged), 0) AS charged FROM tasks_task WHERE parent_id = task.id
) AS child
WHERE in_chunk(task.id) AND task.children > 0 AND (claim.id IS NOT NULL OR task.ended_at IS NULL)
    AND coalesce(claim.delegated, 0) <> child.charged;

-- invariant: subtasks_are_counted
-- A task counts its subtasks, and those that it waits for: paid from its escrow, or planned under the claim
-- that holds it.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('counts %s and waits for %s, and has %s and %s', task.children, task.unsettled_children,
        child.number, child.waited_for) AS wrong
FROM tasks_task AS task
CROSS JOIN LATERAL (
    SELECT count(*) AS number, count(*) FILTER (WHERE ended_at IS NULL AND task.ended_at IS NULL
        AND (source = 'escrow' OR lead_claim_id = task.claim_id)) AS waited_for
    FROM tasks_task WHERE parent_id = task.id
) AS child
WHERE in_chunk(task.id) AND (task.children > 0 OR child.number > 0)
    AND (task.children, task.unsettled_children) <> (child.number, child.waited_for);

-- invariant: subtasks_are_below_their_parent
-- A subtask is in the tree of its parent, one level below it, and its money is from where its source says.
-- walk: tasks_task.id by 5000
SELECT format('task %s', typeid('task', child.id)) AS subject,
    format('root %s, level %s, money of %s; below root %s, level %s, money of %s', child.root, child.depth,
        child.funding_root, parent.root, parent.depth, parent.funding_root) AS wrong
FROM tasks_task AS child JOIN tasks_task AS parent ON parent.id = child.parent_id
WHERE in_chunk(child.id) AND (child.root <> parent.root OR child.depth <> parent.depth + 1
    OR child.funding_root <> CASE child.source WHEN 'escrow' THEN parent.funding_root ELSE child.id END);

-- invariant: claims_are_held_by_their_task
-- A claim that has not ended is the one that its task names, and the other way round. Entries to
-- contests are beside each other, and named when one has won.
SELECT format('task %s', typeid('task', coalesce(task.id, claim.task_id))) AS subject,
    format('state %s, live claim %s', task.state, coalesce(claim.id::text, 'none')) AS wrong
FROM tasks_task AS task
FULL JOIN (SELECT * FROM tasks_claim WHERE NOT is_entry) AS claim
    ON claim.id = task.claim_id AND claim.task_id = task.id
WHERE (claim.ended_at IS NULL AND claim.id IS NOT NULL)
    <> coalesce((task.state IN ('claimed', 'submitted', 'disputed') AND task.mode <> 'contest')
        OR (task.state = 'closing' AND task.claim_id IS NOT NULL), false);

-- money invariant: fees_are_what_settlements_say
-- The fee account holds what all settlements together set aside for it.
SELECT 'account 2' AS subject,
    format('holds %s more than settlements say', held.amount - said.amount) AS wrong
FROM credits_derived_balance(2) AS held (amount),
    (SELECT coalesce(sum(fee), 0) AS amount FROM tasks_settlement) AS said
WHERE held.amount <> said.amount;

-- money invariant: waiting_earnings_are_pending
-- What waits for an author, or for the worker of a subtask, is what the pending account of their operator
-- holds.
SELECT format('account %s', account.id) AS subject,
    format('holds %s more than what waits', account.balance - coalesce(waiting.amount, 0)) AS wrong
FROM credits_account AS account
LEFT JOIN (
    SELECT operator, sum(amount) AS amount
    FROM (
        SELECT coalesce(author.operator_id, author.id) AS operator, earning.amount
        FROM reuse_earning AS earning
        JOIN participants_participant AS author ON author.id = earning.author_id
        WHERE earning.due_at IS NOT NULL AND earning.paid_at IS NULL
        UNION ALL
        SELECT claim.operator_id, payment.gross - payment.fee
        FROM tasks_task AS task
        JOIN tasks_settlementpayment AS payment ON payment.settlement_id = task.id
        JOIN tasks_claim AS claim ON claim.id = payment.claim_id
        WHERE task.wages_wait_until IS NOT NULL
            AND NOT EXISTS (SELECT FROM delegation_wagerelease WHERE payment_id = payment.id)
    ) AS one
    GROUP BY operator
) AS waiting ON waiting.operator = account.owner
WHERE account.kind = 'pending' AND account.balance <> coalesce(waiting.amount, 0);

-- money invariant: wallets_are_their_owners
-- The accounts of a participant without an operator are a wallet and a pending account of its own.
SELECT format('participant %s', participant.handle) AS subject,
    format('account %s is the %s of %s, account %s the %s of %s', participant.wallet, wallet.kind,
        wallet.owner, participant.earnings, earnings.kind, earnings.owner) AS wrong
FROM participants_participant AS participant
LEFT JOIN credits_account AS wallet ON wallet.id = participant.wallet
LEFT JOIN credits_account AS earnings ON earnings.id = participant.earnings
WHERE participant.operator_id IS NULL AND (wallet.kind, wallet.owner, earnings.kind, earnings.owner)
    IS DISTINCT FROM ('wallet', participant.id, 'pending', participant.id);

-- money invariant: clock_stands_while_money_does
-- The market's clock stands still exactly while nothing is written to the ledger.
SELECT 'clock' AS subject, format('stands at %s, writing is %s', coalesce(clock.stands_at::text, 'no moment'),
    CASE WHEN switch.stops THEN 'stopped' ELSE 'not stopped' END) AS wrong
FROM market_clock AS clock
CROSS JOIN (SELECT coalesce((SELECT stops FROM credits_switch ORDER BY number DESC LIMIT 1), false) AS stops)
    AS switch
WHERE (clock.stands_at IS NOT NULL) <> switch.stops;

-- invariant: disputed_tasks_have_a_dispute
-- A task is disputed exactly while a dispute about it runs; about what an accepted subtask earned, it stays
-- accepted.
SELECT format('task %s', typeid('task', task.id)) AS subject,
    format('%s, and its dispute is %s', task.state, coalesce(dispute.state, 'none')) AS wrong
FROM tasks_task AS task LEFT JOIN disputes_dispute AS dispute ON dispute.task_id = task.id
WHERE (task.state = 'disputed' OR task.dispute_due_at IS NOT NULL) <> (dispute.id IS NOT NULL AND dispute.settled_at IS NULL);

-- money invariant: deposits_are_held_until_settled
-- The escrow of a dispute holds its deposit while it runs, and is at zero and closed afterwards.
SELECT format('task %s', typeid('task', dispute.task_id)) AS subject,
    format('deposit %s, dispute %s, and its escrow holds %s', dispute.deposit, dispute.state,
        coalesce(escrow.balance::text, 'nothing: there is none')) AS wrong
FROM disputes_dispute AS dispute LEFT JOIN credits_account AS escrow
    ON escrow.kind = 'escrow' AND escrow.reference = typeid('dispute', dispute.id)
WHERE CASE WHEN dispute.deposit = 0 THEN escrow.id IS NOT NULL
    WHEN dispute.settled_at IS NULL THEN escrow.balance IS DISTINCT FROM dispute.deposit
    ELSE escrow.balance IS DISTINCT FROM 0 OR escrow.closed_at IS NULL END;

-- money invariant: panels_are_paid_for_their_votes
-- What a settlement, or the release of disputed earnings, sets aside for a panel is what its seats were paid,
-- and only votes are paid.
SELECT format('task %s', typeid('task', settlement.task_id)) AS subject,
    format('the panel has %s, its votes %s, other seats %s', settlement.panel + coalesce(released.panel, 0),
        coalesce(paid.votes, 0), coalesce(paid.others, 0)) AS wrong
FROM tasks_settlement AS settlement
LEFT JOIN (
    SELECT payment.settlement_id, sum(release.panel) AS panel
    FROM delegation_wagerelease AS release JOIN tasks_settlementpayment AS payment ON payment.id = release.payment_id
    GROUP BY payment.settlement_id
) AS released ON released.settlement_id = settlement.task_id
LEFT JOIN (
    SELECT dispute.task_id, sum(seat.fee) FILTER (WHERE seat.state = 'voted') AS votes,
        sum(seat.fee) FILTER (WHERE seat.state <> 'voted') AS others
    FROM disputes_dispute AS dispute JOIN disputes_seat AS seat ON seat.dispute_id = dispute.id
    GROUP BY dispute.task_id
) AS paid ON paid.task_id = settlement.task_id
WHERE settlement.panel + coalesce(released.panel, 0) <> coalesce(paid.votes, 0) OR coalesce(paid.others, 0) <> 0;

-- money invariant: escrows_have_a_task
-- Every escrow belongs to a task, or to a dispute, whose deposit it is.
-- only in a full audit
SELECT format('account %s', escrow.id) AS subject,
    format('the escrow of %s, which is neither task nor dispute', escrow.reference) AS wrong
FROM credits_account AS escrow
WHERE escrow.kind = 'escrow' AND escrow.reference NOT IN (
    SELECT typeid('task', id) FROM tasks_task UNION ALL
    SELECT typeid('dispute', id) FROM disputes_dispute);
