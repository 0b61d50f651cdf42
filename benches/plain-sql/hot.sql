-- One transfer from a random account into always the same.
\set payer random(2, :accounts)
select create_transfer(gen_random_uuid(), account(:payer), account(1), 1);
