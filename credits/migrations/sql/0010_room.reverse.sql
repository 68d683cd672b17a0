ALTER TABLE credits_account DROP COLUMN room, SET (fillfactor = 70);
