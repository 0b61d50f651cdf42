-- A hundred transfers between random accounts in one call.
select count(*) from (
  select pgledger_create_transfers(
    array_agg((account(1 + payer), account(1 + (payer + step) % :accounts), 1::numeric)::transfer_request))
  from (
    select floor(random() * :accounts)::bigint as payer, 1 + floor(random() * (:accounts - 1))::bigint as step
    from generate_series(1, 100)
  ) as drawn
) as made;
