-- Every table begins with its book, so that all of a book can lie on one node of a distributed database.
-- The records in `commands` are the truth; every other table of books is derived from them.

-- Where a book stands. Its row is the only one that writers lock. With a mark it takes no commands: its books were moved, or
-- are not all there yet.
create table saldo.heads (
    book int4 primary key,
    root uuid,
    position int8 not null,
    recorded_at int8 not null,
    digest bytea not null,
    clients int4 not null,
    customers int4 not null,
    accounts int4 not null,
    api_keys int4 not null,
    assets int4 not null,
    highest_number int8 not null,
    books int4 not null,
    mark text
) with (fillfactor = 10);
create index heads_root on saldo.heads (root);
insert into saldo.heads values (0, null, 0, 0, decode(repeat('00', 32), 'hex'), 0, 0, 0, 0, 0, 0, 0, null);

-- One row per command: its canonical record. `id` is that of the one transaction it booked; `key` is the hash of its
-- key space and key, unless the key is that very id. Recorded times rise with positions, so a time is found by halving.
create table saldo.commands (
    book int4 not null,
    position int8 not null,
    recorded_at int8 not null,
    key uuid,
    id uuid,
    record bytea not null,
    primary key (book, position)
);
create unique index commands_key on saldo.commands (book, key) where key is not null;
create unique index commands_id on saldo.commands (book, id) where id is not null;

-- What else a command is found by: hashes of references, foreign ids, reversed transactions, ids in a batch.
create table saldo.mentions (
    book int4 not null,
    hash uuid not null,
    position int8 not null,
    primary key (book, hash, position)
);

-- Which commands touched a balance, 32 positions a row; the newest are the `tail` of the balance itself. The counters after
-- each are in its record.
create table saldo.entries (
    book int4 not null,
    account int4 not null,
    asset int4 not null,
    first int8 not null,
    positions bytea not null,
    primary key (book, account, asset, first)
);

-- What counts for another time than it was recorded: a correction of the balance by recorded time.
create table saldo.deviations (
    book int4 not null,
    account int4 not null,
    asset int4 not null,
    position int8 not null,
    index int4 not null,
    recorded_at int8 not null,
    effective_at int8 not null,
    settled numeric not null,
    primary key (book, account, asset, position, index)
);

create table saldo.balances (
    book int4 not null,
    account int4 not null,
    asset int4 not null,
    last int8 not null,
    last_at int8 not null,
    debits_posted numeric not null,
    debits_pending numeric not null,
    credits_posted numeric not null,
    credits_pending numeric not null,
    tail bytea not null,
    primary key (book, account, asset)
) with (fillfactor = 50);

create table saldo.clients (
    book int4 not null,
    no int4 not null,
    id uuid not null,
    external_id uuid,
    row bytea not null,
    primary key (book, no)
);
create unique index clients_id on saldo.clients (book, id);
create index clients_root on saldo.clients (id, book) where no = 0;
create index clients_external_id on saldo.clients (book, external_id, no) where external_id is not null;

create table saldo.customers (
    book int4 not null,
    no int4 not null,
    id uuid not null,
    client uuid not null,
    number int8 not null,
    external_id uuid,
    row bytea not null,
    primary key (book, no)
);
create unique index customers_id on saldo.customers (book, id);
create unique index customers_number on saldo.customers (book, number);
create index customers_client on saldo.customers (book, client, no);
create index customers_external_id on saldo.customers (book, external_id, no) where external_id is not null;

create table saldo.accounts (
    book int4 not null,
    no int4 not null,
    id uuid not null,
    client uuid not null,
    owner uuid not null,
    purpose int2 not null,
    is_primary bool not null,
    external_id uuid,
    row bytea not null,
    primary key (book, no)
);
create unique index accounts_id on saldo.accounts (book, id);
create index accounts_client on saldo.accounts (book, client, no);
create index accounts_owner on saldo.accounts (book, owner, no);
create index accounts_external_id on saldo.accounts (book, external_id, no) where external_id is not null;

create table saldo.api_keys (
    book int4 not null,
    no int4 not null,
    id uuid not null,
    client uuid,
    row bytea not null,
    primary key (book, no)
);
create unique index api_keys_id on saldo.api_keys (book, id);

create table saldo.assets (
    book int4 not null,
    no int4 not null,
    name text not null,
    row bytea not null,
    primary key (book, no)
);
create unique index assets_name on saldo.assets (book, name);

create table saldo.rates (
    book int4 not null,
    position int8 not null,
    index int4 not null,
    base text not null,
    quote text not null,
    as_of int8 not null,
    recorded_at int8 not null,
    row bytea not null,
    primary key (book, position, index)
);
create index rates_pair on saldo.rates (book, base, quote, as_of, position, index);
create index rates_as_of on saldo.rates (book, as_of, position, index);

-- Holds as they stand. `due` is when an open one expires.
create table saldo.holds (
    book int4 not null,
    position int8 not null,
    index int4 not null,
    id uuid not null,
    status int2 not null,
    due int8,
    row bytea not null,
    primary key (book, position, index)
);
create unique index holds_id on saldo.holds (book, id);
create index holds_status on saldo.holds (book, status, position, index);
create index holds_due on saldo.holds (due asc, book, id) where due is not null;

-- The accounts of a hold, on either side.
create table saldo.hold_accounts (
    book int4 not null,
    account int4 not null,
    position int8 not null,
    index int4 not null,
    id uuid not null,
    status int2 not null,
    due int8,
    primary key (book, account, position, index)
);
create index hold_accounts_status on saldo.hold_accounts (book, account, status, position, index);
create index hold_accounts_due on saldo.hold_accounts (book, account, due) where due is not null;

-- The keys that texts about people are sealed under, by client, customer or book. The one table that forgets: the key of who
-- is erased is deleted. Nothing else of a text about people is in any table but sealed.
create table saldo.vault (
    id uuid primary key,
    key bytea not null
) with (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

-- What is no part of the books: the keys that sign tokens, all in one row.
create table saldo.secrets (
    name text primary key,
    value bytea not null
);
