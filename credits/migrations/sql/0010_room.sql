-- Room on the pages of accounts. A posting writes a new version of an account beside the old one, and
-- whoever visits a page that has less left than its fillfactor asks for prunes it first. Filled to 70 %, a
-- page had less from its first change on, so nearly every visit looked at every account of the page.
-- Now a new account takes more space than it needs and gives it back by its first posting: a page
-- whose accounts have all moved is three fifths full, and is pruned when nine tenths are used.
ALTER TABLE credits_account ADD COLUMN room text DEFAULT repeat(' ', 60), SET (fillfactor = 90);
