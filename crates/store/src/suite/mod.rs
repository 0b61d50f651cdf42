//! What every store must pass.

mod core;
mod deals;
mod random;
mod register;
mod stream;

pub use self::core::{Shares, check_core};
pub use self::random::Random;
pub use self::stream::stream;
