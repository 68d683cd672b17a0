DROP TABLE credits_entry;
DROP TABLE credits_posting;
DROP TABLE credits_account;
DROP TABLE credits_epoch;
