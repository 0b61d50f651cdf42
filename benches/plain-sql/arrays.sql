-- A hundred transfers between random accounts in one call. The accounts are drawn in the database, which costs next to nothing.
select create_transfers(
  array_agg(gen_random_uuid()), array_agg(account(1 + payer)), array_agg(account(1 + (payer + step) % :accounts)),
  array_agg(1::bigint))
from (
  select floor(random() * :accounts)::bigint as payer, 1 + floor(random() * (:accounts - 1))::bigint as step
  from generate_series(1, 100)
) as drawn;
