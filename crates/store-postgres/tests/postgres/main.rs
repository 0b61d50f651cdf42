//! The store on a real PostgreSQL: one cluster for all tests, a database for each. What kills PostgreSQL has one of its own.

mod faults;
mod kept;
mod opening;
mod plans;
mod suite;
mod verify;
