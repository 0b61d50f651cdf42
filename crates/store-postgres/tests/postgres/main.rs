//! The store on a real PostgreSQL: one cluster for all tests, a database for each. What kills PostgreSQL has one of its own.

mod faults;
mod kept;
mod opening;
mod plans;
mod proxy;
mod reach;
mod refusals;
mod rights;
mod silence;
mod suite;
mod tls;
mod verify;
