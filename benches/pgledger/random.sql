-- One transfer between two of the first `accounts` accounts.
\set payer random(1, :accounts)
\set payee 1 + (:payer - 1 + random(1, :accounts - 1)) % :accounts
select pgledger_create_transfer(account(:payer), account(:payee), 1);
