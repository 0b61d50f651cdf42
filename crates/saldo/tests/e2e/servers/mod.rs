//! Many servers on one PostgreSQL, as processes: under load, and with faults.
//!
//! What clients were told is kept, apart from any server; in the end the records must be just that, once each, and every
//! balance that anybody ever saw must be the one that the records give.

mod check;
mod disk;
mod faults;
mod fleet;
mod load;
mod mixed;
mod proxy;
mod standby;
mod steps;
