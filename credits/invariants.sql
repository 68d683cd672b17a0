-- What is always true of the books. Each block is a name, a sentence, and one SELECT of what breaks it:
-- `subject` says which row (as `account 12` or `posting …`), `wrong` says what is wrong with it.
-- Tests, the nightly job and `manage.py audit` run all blocks in one snapshot.

-- invariant: entries_add_up_to_zero
-- All entries of the ledger add up to zero: nothing is made and nothing is lost.
SELECT 'ledger' AS subject, format('all entries add up to %s', sum(amount)) AS wrong
FROM credits_entry HAVING sum(amount) <> 0;

-- invariant: postings_balance
-- The entries of every posting add up to zero, and there are at least two.
SELECT format('posting %s', posting.id) AS subject,
    format('%s entries that add up to %s', count(entry.posting_id), coalesce(sum(entry.amount), 0)) AS wrong
FROM credits_posting AS posting LEFT JOIN credits_entry AS entry ON entry.posting_id = posting.id
GROUP BY posting.id HAVING count(entry.posting_id) < 2 OR sum(entry.amount) <> 0;

-- invariant: entries_belong
-- Every entry belongs to a posting and to an account that exist.
SELECT format('posting %s', entry.posting_id) AS subject,
    format('an entry of account %s has no %s', entry.account_id,
        CASE WHEN posting.id IS NULL THEN 'posting' ELSE 'account' END) AS wrong
FROM credits_entry AS entry
LEFT JOIN credits_posting AS posting ON posting.id = entry.posting_id
LEFT JOIN credits_account AS account ON account.id = entry.account_id
WHERE posting.id IS NULL OR account.id IS NULL;

-- invariant: balances_are_what_entries_say
-- Every stored balance equals the sum of the account's entries.
SELECT format('account %s', account.id) AS subject,
    format('balance %s, entries add up to %s', account.balance, coalesce(sum(entry.amount), 0)) AS wrong
FROM credits_account AS account LEFT JOIN credits_entry AS entry ON entry.account_id = account.id
WHERE account.mode = 'stored'
GROUP BY account.id HAVING account.balance <> coalesce(sum(entry.amount), 0);

-- invariant: entries_are_numbered_without_gaps
-- A stored account's entries are numbered from 1 to its seq, each number once.
SELECT format('account %s', account.id) AS subject,
    format('seq %s, %s entries numbered up to %s', account.seq, count(entry.account_id), max(entry.seq)) AS wrong
FROM credits_account AS account LEFT JOIN credits_entry AS entry ON entry.account_id = account.id
WHERE account.mode = 'stored'
GROUP BY account.id
HAVING account.seq <> count(entry.account_id) OR account.seq <> coalesce(max(entry.seq), 0)
    OR account.seq <> count(DISTINCT entry.seq);

-- invariant: running_balances_follow
-- Every entry of a stored account ends at the balance before it plus its amount.
SELECT format('account %s', account_id) AS subject,
    format('entry %s ends at %s, not at %s', seq, balance_after, running) AS wrong
FROM (
    SELECT account_id, seq, balance_after,
        sum(amount) OVER (PARTITION BY account_id ORDER BY seq) AS running
    FROM credits_entry WHERE seq IS NOT NULL
) AS line WHERE balance_after <> running;

-- invariant: times_follow
-- The entries of a stored account are in the order of time as well.
SELECT format('account %s', account_id) AS subject,
    format('entry %s is older than the one before it', seq) AS wrong
FROM (
    SELECT account_id, seq, created_at,
        lag(created_at) OVER (PARTITION BY account_id ORDER BY seq) AS earlier
    FROM credits_entry WHERE seq IS NOT NULL
) AS line WHERE created_at < earlier;

-- invariant: nobody_is_below_their_floor
-- No stored account is below its floor, now or after any of its entries.
SELECT format('account %s', account.id) AS subject,
    format('balance %s, lowest ever %s, floor %s', account.balance, min(entry.balance_after), account.floor) AS wrong
FROM credits_account AS account LEFT JOIN credits_entry AS entry ON entry.account_id = account.id
WHERE account.mode = 'stored'
GROUP BY account.id
HAVING account.balance < account.floor OR min(entry.balance_after) < account.floor;

-- invariant: derived_accounts_store_nothing
-- A derived account has no balance and no numbers of its own, and neither have its entries.
SELECT format('account %s', account.id) AS subject,
    format('balance %s, seq %s, %s numbered entries', account.balance, account.seq, count(entry.seq)) AS wrong
FROM credits_account AS account LEFT JOIN credits_entry AS entry ON entry.account_id = account.id
WHERE account.mode = 'derived'
GROUP BY account.id HAVING account.balance <> 0 OR account.seq <> 0 OR count(entry.seq) > 0;

-- invariant: closed_accounts_are_empty
-- A closed account stands at zero and has no entry from after it was closed.
SELECT format('account %s', account.id) AS subject,
    format('closed with %s, last entry at %s', account.balance, max(entry.created_at)) AS wrong
FROM credits_account AS account LEFT JOIN credits_entry AS entry ON entry.account_id = account.id
WHERE account.closed_at IS NOT NULL
GROUP BY account.id HAVING account.balance <> 0 OR max(entry.created_at) > account.closed_at;

-- invariant: supply_is_what_was_issued
-- What all accounts hold together is what issuance has given out.
SELECT 'supply' AS subject, format('held %s, issued %s', held, issued) AS wrong
FROM (
    SELECT (SELECT coalesce(sum(balance), 0) FROM credits_account)
        + (SELECT coalesce(sum(entry.amount), 0) FROM credits_entry AS entry
            JOIN credits_account AS account ON account.id = entry.account_id
            WHERE account.mode = 'derived' AND account.kind <> 'issuance') AS held,
        (SELECT -coalesce(sum(entry.amount), 0) FROM credits_entry AS entry
            JOIN credits_account AS account ON account.id = entry.account_id
            WHERE account.kind = 'issuance') AS issued
) AS supply WHERE held <> issued;

-- invariant: references_are_unique
-- No reference names two postings.
SELECT format('posting %s', min(id::text)) AS subject,
    format('%s postings have the reference %s', count(*), reference) AS wrong
FROM credits_posting GROUP BY reference HAVING count(*) > 1;

-- invariant: reversals_undo
-- A reversal has exactly the entries of what it takes back, with their signs turned.
SELECT format('posting %s', id) AS subject,
    format('does not undo posting %s at account %s', reverses, account_id) AS wrong
FROM (
    SELECT reversal.id, reversal.reverses, entry.account_id, entry.amount
    FROM credits_posting AS reversal JOIN credits_entry AS entry ON entry.posting_id = reversal.id
    WHERE reversal.reverses IS NOT NULL
    UNION ALL
    SELECT reversal.id, reversal.reverses, entry.account_id, entry.amount
    FROM credits_posting AS reversal JOIN credits_entry AS entry ON entry.posting_id = reversal.reverses
) AS both_sides
GROUP BY id, reverses, account_id HAVING count(*) <> 2 OR sum(amount) <> 0;

-- invariant: one_escrow_per_work
-- Every work has one escrow, and an account that is open is the only one of its owner, kind and reference.
SELECT format('account %s', min(id)) AS subject,
    format('%s open accounts are %s %s', count(*), kind, reference) AS wrong
FROM credits_account WHERE closed_at IS NULL GROUP BY owner, kind, reference HAVING count(*) > 1
UNION ALL
SELECT format('account %s', min(id)), format('%s escrows are of %s', count(*), reference)
FROM credits_account WHERE kind = 'escrow' GROUP BY reference HAVING count(*) > 1;

-- invariant: entries_stand_with_their_posting
-- An entry was written by the transaction that wrote its posting.
SELECT format('posting %s', posting.id) AS subject,
    format('was written at (%s, %s), its entry of account %s at (%s, %s)',
        posting.epoch, posting.xid, entry.account_id, entry.epoch, entry.xid) AS wrong
FROM credits_posting AS posting JOIN credits_entry AS entry ON entry.posting_id = posting.id
WHERE entry.epoch <> posting.epoch OR entry.xid <> posting.xid;

-- invariant: folds_are_what_entries_say
-- Every fold of a derived account is the sum, the number and the times of its entries up to there.
SELECT format('account %s', account_id) AS subject,
    format('fold %s has %s of %s entries from %s to %s; it is fold %s of %s, of %s entries from %s to %s',
        number, balance, entries, oldest_at, newest_at, folds, real_balance, real_entries, real_oldest_at,
        real_newest_at) AS wrong
FROM (
    SELECT account_id, number, balance, entries, oldest_at, newest_at, folds,
        coalesce(real_balance, 0) AS real_balance, real_entries, real_newest_at,
        -- The entries between two folds are one part with the fold that ends it.
        min(created_at) OVER (PARTITION BY account_id, folds - is_fold) AS real_oldest_at
    FROM (
        SELECT *, sum(amount) OVER so_far AS real_balance, count(amount) OVER so_far AS real_entries,
            max(created_at) OVER so_far AS real_newest_at, sum(is_fold) OVER so_far AS folds
        FROM (
            SELECT account_id, epoch, xid, 0 AS is_fold, amount, created_at, NULL::bigint AS number,
                NULL::bigint AS balance, NULL::bigint AS entries, NULL::timestamptz AS oldest_at,
                NULL::timestamptz AS newest_at
            FROM credits_entry WHERE seq IS NULL
            UNION ALL
            SELECT account_id, upto_epoch, upto_xid, 1, NULL, NULL, number, balance, entries, oldest_at, newest_at
            FROM credits_fold
        ) AS line
        WINDOW so_far AS (PARTITION BY account_id ORDER BY epoch, xid, is_fold, number)
    ) AS summed
) AS fold
WHERE number IS NOT NULL AND (
    number <> folds OR balance <> real_balance OR entries <> real_entries
    OR oldest_at IS DISTINCT FROM real_oldest_at OR newest_at IS DISTINCT FROM real_newest_at);

-- invariant: seals_follow_one_another
-- Blocks are numbered from 1 without a gap, and each has the hash of what it says and names the one before.
SELECT format('seal %s', number) AS subject,
    format('stands at place %s, names %s before it, and says what hashes to %s', place,
        encode(previous, 'hex'), encode(real_hash, 'hex')) AS wrong
FROM (
    SELECT number, previous, hash, sealed_at, row_number() OVER upwards AS place,
        coalesce(lag(hash) OVER upwards, decode(repeat('00', 32), 'hex')) AS hash_before,
        lag(sealed_at) OVER upwards AS sealed_before,
        sha256('\x02' || convert_to(format(
            '{"entries":"%s","format":"1","number":"%s","previous":"%s","root":"%s","sealed_at":"%s"}',
            entries, number, encode(previous, 'hex'), encode(root, 'hex'),
            to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8')) AS real_hash
    FROM credits_seal WINDOW upwards AS (ORDER BY number)
) AS seal
WHERE number <> place OR previous <> hash_before OR hash <> real_hash OR sealed_at < sealed_before;

-- invariant: seals_leave_no_entry_out
-- What is sealed is a prefix of the entries: up to a block's end, each is in it or in one before.
SELECT format('seal %s', number) AS subject,
    format('%s entries sealed up to there, there are %s', sealed, real_sealed) AS wrong
FROM (
    SELECT number, sum(entries) OVER in_order AS sealed, count(is_entry) OVER in_order AS real_sealed
    FROM (
        SELECT posting.epoch, posting.xid, posting.id AS posting, entry.account_id AS account,
            NULL::bigint AS number, NULL::integer AS entries, true AS is_entry
        FROM credits_posting AS posting JOIN credits_entry AS entry ON entry.posting_id = posting.id
        UNION ALL
        SELECT upto_epoch, upto_xid, upto_posting, upto_account, number, entries, NULL FROM credits_seal
    ) AS line
    WINDOW in_order AS (ORDER BY epoch, xid, posting, account, number NULLS FIRST)
) AS block WHERE number IS NOT NULL AND sealed <> real_sealed;
