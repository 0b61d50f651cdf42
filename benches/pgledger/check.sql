-- Whether the books are right: else it was not a ledger that was measured.
select (select sum(balance) from pgledger_accounts) = 0 and (select sum(amount) from pgledger_entries) = 0
  and (select count(*) from pgledger_entries) = 2 * (select count(*) from pgledger_transfers);
