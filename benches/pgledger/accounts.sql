-- As many accounts as `count` says, each with money from account 0, the world outside.
create table numbered (nth bigint primary key, id text not null);
insert into numbered
select nth, (pgledger_create_account('account ' || nth, 'USD', nth = 0)).id from generate_series(0, :count) as nth;

-- The id of the nth account of the benchmark.
create function account(nth bigint) returns text language sql stable parallel safe as $$
  select id from numbered where numbered.nth = $1
$$;

select count(*) from (
  select pgledger_create_transfer(account(0), account(nth), 1000000000000) from generate_series(1, :count) as nth
) as made;
vacuum analyze;
