-- A double-entry ledger in plain SQL, as one would write it with care: what Saldo is measured against.
--
-- Balances stand on the accounts, entries carry the balance after them, and the checks are made under the accounts' row
-- locks, which are taken in the order of ids so that transfers can't deadlock. The caller names the transfer, so that one that
-- is sent again is not made again. A transfer is one call of a function: one round trip.

create table accounts (
  id uuid primary key,
  currency text not null,
  balance bigint not null default 0,
  version bigint not null default 0,
  may_be_negative boolean not null default false,
  created_at timestamptz not null default now(),
  check (may_be_negative or balance >= 0)
) with (fillfactor = 50); -- room for new versions of a row on its page: an update touches no index

create table transfers (
  id uuid primary key,
  from_account uuid not null references accounts,
  to_account uuid not null references accounts,
  amount bigint not null check (amount > 0),
  effective_at timestamptz not null,
  created_at timestamptz not null default now(),
  metadata jsonb,
  check (from_account <> to_account)
);

create table entries (
  account uuid not null references accounts,
  version bigint not null,
  transfer uuid not null references transfers,
  amount bigint not null,
  balance_after bigint not null,
  created_at timestamptz not null default now(),
  primary key (account, version) -- an account's history, in order
);

create index on entries (transfer);

-- Moves money from one account to another, once for each id; answers whether it was this call that did.
create function create_transfer(transfer uuid, payer uuid, payee uuid, moved bigint) returns boolean language plpgsql as $$
declare
  source accounts;
  target accounts;
  earlier transfers;
begin
  select * into earlier from transfers where id = transfer;
  if found then
    if (earlier.from_account, earlier.to_account, earlier.amount) is distinct from (payer, payee, moved) then
      raise exception 'the id % stands for another transfer', transfer;
    end if;
    return false;
  end if;
  -- In the order of ids, whichever way the money goes. The check of the table is the floor.
  if payer < payee then
    update accounts set balance = balance - moved, version = version + 1 where id = payer returning * into source;
    update accounts set balance = balance + moved, version = version + 1 where id = payee returning * into target;
  else
    update accounts set balance = balance + moved, version = version + 1 where id = payee returning * into target;
    update accounts set balance = balance - moved, version = version + 1 where id = payer returning * into source;
  end if;
  if source.currency <> target.currency then
    raise exception 'account % is in %, account % in %', payer, source.currency, payee, target.currency;
  end if;
  -- After the locks: foreign keys of rows that others update at the time cost far more. One id sent twice at once fails here, and
  -- is found when it is sent again. Constraints refuse unknown accounts, one account twice, and amounts that are not positive.
  insert into transfers (id, from_account, to_account, amount, effective_at) values (transfer, payer, payee, moved, now());
  insert into entries (account, version, transfer, amount, balance_after) values
    (payer, source.version, transfer, -moved, source.balance),
    (payee, target.version, transfer, moved, target.balance);
  return true;
end $$;

-- Moves money many times, all or nothing: the nth payer pays the nth payee. Answers how many transfers were new.
create function create_transfers(transfers uuid[], payers uuid[], payees uuid[], moved bigint[]) returns bigint
language plpgsql as $$
declare
  made bigint := 0;
begin
  -- All locks first, in the order of ids.
  perform from accounts where id = any (payers || payees) order by id for no key update;
  for nth in 1 .. cardinality(transfers) loop
    if create_transfer(transfers[nth], payers[nth], payees[nth], moved[nth]) then
      made := made + 1;
    end if;
  end loop;
  return made;
end $$;

-- The id of the nth account of a benchmark.
create function account(nth bigint) returns uuid language sql immutable parallel safe as $$ select md5(nth::text)::uuid $$;
