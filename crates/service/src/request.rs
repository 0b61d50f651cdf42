//! Names for requests, so that an answer and a line of the log can be told to belong together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Service;

/// A counter that begins at a place of its own with each start of the server.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    /// Begins at a random place, with room for 2³² requests before the next server's may overlap.
    pub(crate) fn new() -> Self {
        let mut start = [0; 4];
        // Without randomness all servers begin alike; ids then differ within each.
        let _ = getrandom::fill(&mut start);
        Self(AtomicU64::new(u64::from(u32::from_be_bytes(start)) << 32))
    }
}

impl Service {
    /// The name of the next request: 16 hexadecimal digits.
    #[must_use]
    pub fn request_id(&self) -> String {
        format!("{:016x}", self.requests.0.fetch_add(1, Ordering::Relaxed))
    }
}
