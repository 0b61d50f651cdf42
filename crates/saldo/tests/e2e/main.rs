//! The binary from outside: started as a user starts it, asked over HTTP, killed, started again.

mod drift;
mod endpoints;
mod harness;
mod kills;
mod lifecycle;
mod limits;
mod stop;
mod verify;
