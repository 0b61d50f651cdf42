-- One transfer from a random account into always the same.
\set payer random(2, :accounts)
select pgledger_create_transfer(account(:payer), account(1), 1);
