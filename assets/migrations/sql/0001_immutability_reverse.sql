-- CASCADE takes the triggers along; the tables themselves are dropped by the migration.
DROP FUNCTION assets_refuse_change() CASCADE;
DROP FUNCTION assets_allow_yank_only() CASCADE;
DROP FUNCTION assets_only_while_publishing() CASCADE;
ALTER TABLE assets_version DROP COLUMN published_xid;
