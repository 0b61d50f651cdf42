-- As many accounts as `count` says, each with money, and account 0, the world outside that it came from.
insert into accounts (id, currency, balance, may_be_negative) values (account(0), 'USD', -1000000000000 * :count::bigint, true);
insert into accounts (id, currency, balance) select account(nth), 'USD', 1000000000000 from generate_series(1, :count) as nth;
vacuum analyze accounts;
