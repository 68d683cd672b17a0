DROP FUNCTION credits_in_order;
DROP TABLE credits_seal;
DROP FUNCTION credits_check_seal;
DROP INDEX credits_posting_order;
