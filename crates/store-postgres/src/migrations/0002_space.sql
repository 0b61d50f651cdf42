-- Whether the disk has space: rows are put here and never committed. A full page each, so that what is asked for is new pages;
-- vacuum gives them back.
create table saldo.space (
    filler bytea not null
);
alter table saldo.space alter column filler set storage plain;
