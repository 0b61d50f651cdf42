//! The store on a real PostgreSQL: one cluster for all tests, a database for each.

mod cluster;
mod suite;
