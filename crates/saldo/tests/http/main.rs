//! Every wire format on the stores that keep something: the tests of `dialects`, once on each. There are no sockets between.

#![expect(
    clippy::duplicate_mod,
    reason = "the same tests, each time on the store of the module around them"
)]

mod journal;
mod postgres;
