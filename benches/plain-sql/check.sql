-- Whether the books are right: else it was not a ledger that was measured.
select (select sum(balance) from accounts) = 0 and (select sum(amount) from entries) = 0
  and (select count(*) from entries) = 2 * (select count(*) from transfers);
