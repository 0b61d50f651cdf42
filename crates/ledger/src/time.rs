//! Points in time as integers: microseconds since 1970-01-01T00:00:00Z.

use serde::{Deserialize, Serialize};
/// Microseconds since the Unix epoch, UTC. Years 0001 to 9999 when it came through an API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Micros(pub i64);

impl Micros {
    /// The earliest time that can be written.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time that can be written.
    pub const MAX: Self = Self(i64::MAX);

    /// This time plus `micros`, held at the latest time that can be written.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}
