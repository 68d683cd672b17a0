-- What is always true of the books. Each block is a name, a sentence, and one SELECT of what breaks it:
-- `subject` says which row (as `account 12` or `posting …`), `wrong` says what is wrong with it.
-- Tests, the nightly job and `manage.py audit` run these blocks; credits/audit.py says how.
--
-- An invariant of money stops all writing to the ledger when it is broken. What is wrong with one row reads
-- the same while nobody touches that row, so that a finding can be known again.
--
-- `walk: table.column by n` runs the query once for every n rows of the table, in the order of the column,
-- so that it reads a range of an index however long the books are: in_chunk(column) says which range. The
-- first range has no lower end and the last no upper one, so rows that point nowhere are met as well. An
-- audit of what is new begins the walk where the last one ended; since() is when that was, with an hour to
-- spare, and the beginning of time in a full audit. `only in a full audit`: reads everything, every time.

-- money invariant: postings_balance
-- The entries of every posting add up to zero, and there are at least two.
-- walk: credits_posting.id by 10000
SELECT format('posting %s', posting_id) AS subject,
    format('%s entries that add up to %s', entries, total) AS wrong
FROM (
    SELECT posting_id, count(*) AS entries, sum(amount) AS total
    FROM credits_entry WHERE in_chunk(posting_id) GROUP BY posting_id
) AS posting WHERE entries < 2 OR total <> 0
UNION ALL
SELECT format('posting %s', posting.id), 'no entries'
FROM credits_posting AS posting
WHERE in_chunk(posting.id) AND NOT EXISTS (SELECT FROM credits_entry WHERE posting_id = posting.id);

-- money invariant: entries_belong
-- Every entry was written by the transaction of its posting, to an account that takes such entries.
-- walk: credits_posting.id by 10000
SELECT format('posting %s', entry.posting_id) AS subject,
    format('the entry of account %s ', entry.account_id) || CASE
        WHEN posting.id IS NULL THEN 'has no posting'
        WHEN account.id IS NULL THEN 'has no account'
        WHEN (entry.epoch, entry.xid) <> (posting.epoch, posting.xid) THEN
            format('was written at (%s, %s), its posting at (%s, %s)',
                entry.epoch, entry.xid, posting.epoch, posting.xid)
        WHEN (entry.seq IS NULL) <> (account.mode = 'derived')
            OR (entry.balance_after IS NULL) <> (account.mode = 'derived') THEN
            format('has the number %s and the balance %s, the account is %s',
                entry.seq, entry.balance_after, account.mode)
        WHEN entry.balance_after < account.floor THEN
            format('left %s, below the floor of %s', entry.balance_after, account.floor)
        ELSE format('is of %s, the account was closed at %s', entry.created_at, account.closed_at)
    END AS wrong
FROM credits_entry AS entry
LEFT JOIN credits_posting AS posting ON posting.id = entry.posting_id
LEFT JOIN credits_account AS account ON account.id = entry.account_id
WHERE in_chunk(entry.posting_id) AND (
    posting.id IS NULL OR account.id IS NULL
    OR (entry.epoch, entry.xid) <> (posting.epoch, posting.xid)
    OR (entry.seq IS NULL) <> (account.mode = 'derived')
    OR (entry.balance_after IS NULL) <> (account.mode = 'derived')
    OR entry.balance_after < account.floor
    OR entry.created_at > account.closed_at);

-- money invariant: entries_follow_one_another
-- Every entry of a stored account has the next number, ends at the balance before it plus its amount, and is no older.
-- walk: credits_posting.id by 10000
SELECT format('account %s', entry.account_id) AS subject,
    format('entry %s ends at %s, at %s; the one before it at %s, at %s', entry.seq, entry.balance_after,
        entry.created_at, coalesce(before.balance_after::text, 'nothing'), before.created_at) AS wrong
FROM credits_entry AS entry
LEFT JOIN credits_entry AS before ON before.account_id = entry.account_id AND before.seq = entry.seq - 1
WHERE in_chunk(entry.posting_id) AND entry.seq IS NOT NULL AND (
    (before.seq IS NULL) <> (entry.seq = 1)
    OR entry.balance_after <> coalesce(before.balance_after, 0) + entry.amount
    OR entry.created_at < before.created_at);

-- money invariant: reversals_undo
-- A reversal has exactly the entries of what it takes back, with their signs turned.
-- walk: credits_posting.id by 10000
SELECT format('posting %s', id) AS subject,
    format('does not undo posting %s at account %s', reverses, account_id) AS wrong
FROM (
    SELECT reversal.id, reversal.reverses, entry.account_id, entry.amount
    FROM credits_posting AS reversal JOIN credits_entry AS entry ON entry.posting_id = reversal.id
    WHERE in_chunk(reversal.id) AND reversal.reverses IS NOT NULL
    UNION ALL
    SELECT reversal.id, reversal.reverses, entry.account_id, entry.amount
    FROM credits_posting AS reversal JOIN credits_entry AS entry ON entry.posting_id = reversal.reverses
    WHERE in_chunk(reversal.id)
) AS both_sides
GROUP BY id, reverses, account_id HAVING count(*) <> 2 OR sum(amount) <> 0
UNION ALL
SELECT format('posting %s', id), format('undoes posting %s and is a %s', reverses, kind)
FROM credits_posting WHERE in_chunk(id) AND reverses IS NOT NULL AND kind <> 'reversal';

-- money invariant: accounts_stand_where_their_entries_end
-- A stored account has a floor, and the balance, the number and the time of its newest entry; a derived one has none.
-- walk: credits_account.id by 10000
SELECT format('account %s', account.id) AS subject,
    format('%s, floor %s, balance %s, seq %s, at %s; its newest entry has %s, %s, %s', account.mode,
        account.floor, account.balance, account.seq, account.posted_at, newest.balance_after, newest.seq,
        newest.created_at) AS wrong
FROM credits_account AS account
LEFT JOIN LATERAL (
    SELECT seq, balance_after, created_at FROM credits_entry
    WHERE account_id = account.id AND seq IS NOT NULL ORDER BY seq DESC LIMIT 1
) AS newest ON true
WHERE in_chunk(account.id) AND (
    account.balance <> coalesce(newest.balance_after, 0) OR account.seq <> coalesce(newest.seq, 0)
    OR account.posted_at IS DISTINCT FROM newest.created_at
    OR (account.mode = 'derived') <> (account.floor IS NULL)
    -- The ledger's own accounts, whose ids are below 1000, are the derived ones.
    OR (account.mode = 'derived') <> (account.id < 1000)
    OR (account.mode = 'derived' AND newest.seq IS NOT NULL));

-- money invariant: nobody_is_below_their_floor
-- No account is below its floor.
-- walk: credits_account.id by 10000
SELECT format('account %s', id) AS subject, format('balance %s, floor %s', balance, floor) AS wrong
FROM credits_account WHERE in_chunk(id) AND balance < floor;

-- money invariant: closed_accounts_are_empty
-- A closed account stands at zero and has no entry from after it was closed.
-- walk: credits_account.id by 10000
SELECT format('account %s', id) AS subject,
    format('closed at %s with %s, last entry at %s', closed_at, balance, posted_at) AS wrong
FROM credits_account
WHERE in_chunk(id) AND closed_at IS NOT NULL AND (balance <> 0 OR mode = 'derived' OR posted_at > closed_at);

-- money invariant: folds_are_what_entries_say
-- Every fold of a derived account follows the one before it: the sum, the number and the times of the entries between.
-- walk: credits_fold.folded_at by 20
SELECT format('account %s', fold.account_id) AS subject,
    format('fold %s has %s of %s entries from %s to %s; after fold %s of %s there are %s of %s from %s to %s',
        fold.number, fold.balance, fold.entries, fold.oldest_at, fold.newest_at, earlier.number,
        earlier.balance, part.total, part.entries, part.oldest_at, part.newest_at) AS wrong
FROM credits_fold AS fold
LEFT JOIN credits_fold AS earlier
    ON earlier.account_id = fold.account_id AND earlier.number = fold.number - 1
CROSS JOIN LATERAL (
    SELECT coalesce(sum(entry.amount), 0) AS total, count(*) AS entries,
        min(entry.created_at) AS oldest_at, max(entry.created_at) AS newest_at
    FROM credits_entry AS entry
    WHERE entry.account_id = fold.account_id AND entry.seq IS NULL
        AND (entry.epoch, entry.xid) > (coalesce(earlier.upto_epoch, 0), coalesce(earlier.upto_xid, '0'))
        AND (entry.epoch, entry.xid) <= (fold.upto_epoch, fold.upto_xid)
) AS part
WHERE in_chunk(fold.folded_at) AND (
    (earlier.number IS NULL) <> (fold.number = 1)
    OR fold.balance <> coalesce(earlier.balance, 0) + part.total
    OR fold.entries <> coalesce(earlier.entries, 0) + part.entries
    OR fold.oldest_at IS DISTINCT FROM part.oldest_at
    OR fold.newest_at IS DISTINCT FROM greatest(part.newest_at, earlier.newest_at));

-- money invariant: seals_follow_one_another
-- Blocks are numbered from 1 without a gap, and each has the hash of what it says and names the one before.
-- walk: credits_seal.number by 1000
SELECT format('seal %s', seal.number) AS subject,
    format('names %s before it, which is %s, and says what hashes to %s', encode(seal.previous, 'hex'),
        coalesce(encode(earlier.hash, 'hex'), 'not there'), encode(seal.real_hash, 'hex')) AS wrong
FROM (
    SELECT *, sha256('\x02' || convert_to(format(
        '{"entries":"%s","format":"1","number":"%s","previous":"%s","root":"%s","sealed_at":"%s"}',
        entries, number, encode(previous, 'hex'), encode(root, 'hex'),
        to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8')) AS real_hash
    FROM credits_seal WHERE in_chunk(number)
) AS seal
LEFT JOIN credits_seal AS earlier ON earlier.number = seal.number - 1
WHERE (earlier.number IS NULL) <> (seal.number = 1)
    OR seal.previous <> coalesce(earlier.hash, decode(repeat('00', 32), 'hex'))
    OR seal.hash <> seal.real_hash OR seal.sealed_at < earlier.sealed_at;

-- money invariant: seals_leave_no_entry_out
-- What is sealed is a prefix of the entries: all that stand after one block, up to the end of the next, are in that.
-- walk: credits_seal.number by 20
SELECT format('seal %s', seal.number) AS subject,
    format('%s entries sealed, there are %s', seal.entries, between.entries) AS wrong
FROM credits_seal AS seal
LEFT JOIN credits_seal AS earlier ON earlier.number = seal.number - 1
CROSS JOIN LATERAL (
    SELECT count(*) AS entries
    FROM credits_posting AS posting JOIN credits_entry AS entry ON entry.posting_id = posting.id
    WHERE (posting.epoch, posting.xid, posting.id) >= (
            coalesce(earlier.upto_epoch, 0), coalesce(earlier.upto_xid, '0'),
            coalesce(earlier.upto_posting, '00000000-0000-0000-0000-000000000000'))
        AND (posting.epoch, posting.xid, posting.id) <= (seal.upto_epoch, seal.upto_xid, seal.upto_posting)
        AND (posting.epoch, posting.xid, posting.id, entry.account_id) > (
            coalesce(earlier.upto_epoch, 0), coalesce(earlier.upto_xid, '0'),
            coalesce(earlier.upto_posting, '00000000-0000-0000-0000-000000000000'),
            coalesce(earlier.upto_account, 0))
        AND (posting.epoch, posting.xid, posting.id, entry.account_id)
            <= (seal.upto_epoch, seal.upto_xid, seal.upto_posting, seal.upto_account)
) AS between
WHERE in_chunk(seal.number) AND seal.entries <> between.entries;

-- money invariant: supply_is_what_was_issued
-- What all accounts hold together is what issuance has given out.
SELECT 'supply' AS subject, format('held is %s more than issued', sum(holds)) AS wrong
FROM (
    SELECT CASE mode WHEN 'stored' THEN balance ELSE credits_derived_balance(id) END AS holds
    FROM credits_account
) AS account HAVING sum(holds) <> 0;

-- money invariant: the_switch_stands_as_it_was_turned
-- The turns of the switch alternate, and its triggers stand as the last one says.
SELECT format('turn %s', number) AS subject, format('stops: %s, after %s', stops, before) AS wrong
FROM (
    SELECT number, stops, turned_at, lag(stops, 1, false) OVER upwards AS before,
        lag(turned_at) OVER upwards AS turned_before, row_number() OVER upwards AS place
    FROM credits_switch WINDOW upwards AS (ORDER BY number)
) AS turn WHERE number <> place OR stops = before OR turned_at < turned_before
UNION ALL
SELECT format('table %s', guarded.name),
    format('its trigger is %s, writing is %s', coalesce(found.tgenabled::text, 'gone'),
        CASE WHEN switch.stops THEN 'stopped' ELSE 'not stopped' END)
FROM unnest(ARRAY['credits_posting', 'credits_entry', 'credits_account', 'credits_fold', 'credits_seal'])
    AS guarded (name)
CROSS JOIN (SELECT coalesce((SELECT stops FROM credits_switch ORDER BY number DESC LIMIT 1), false) AS stops)
    AS switch
LEFT JOIN pg_trigger AS found
    ON found.tgrelid = guarded.name::regclass AND found.tgname = 'credits_money_is_read_only'
WHERE found.tgenabled IS DISTINCT FROM CASE WHEN switch.stops THEN 'O'::"char" ELSE 'D'::"char" END;

-- money invariant: entries_add_up_to_zero
-- All entries of the ledger add up to zero: nothing is made and nothing is lost.
-- only in a full audit
SELECT 'ledger' AS subject, format('all entries add up to %s', sum(amount)) AS wrong
FROM credits_entry HAVING sum(amount) <> 0;

-- money invariant: references_are_unique
-- No reference names two postings.
-- only in a full audit
SELECT format('posting %s', min(id::text)) AS subject,
    format('%s postings have the reference %s', count(*), reference) AS wrong
FROM credits_posting GROUP BY reference HAVING count(*) > 1;

-- money invariant: one_escrow_per_work
-- Every work has one escrow, and an account that is open is the only one of its owner, kind and reference.
-- only in a full audit
SELECT format('account %s', min(id)) AS subject,
    format('%s open accounts are %s %s', count(*), kind, reference) AS wrong
FROM credits_account WHERE closed_at IS NULL GROUP BY owner, kind, reference HAVING count(*) > 1
UNION ALL
SELECT format('account %s', min(id)), format('%s escrows are of %s', count(*), reference)
FROM credits_account WHERE kind = 'escrow' GROUP BY reference HAVING count(*) > 1;
