//! How often a key may ask: a fixed window of a minute that begins with the key's first request.
//!
//! A window is what the vendors announce (a limit, what remains, when it is reset), and it is exact: of `limit + 1`
//! requests in a minute one is refused. Each server counts for itself.

use ledger::{ApiKeyId, Map, Micros};
use parking_lot::Mutex;

/// A window, in microseconds.
const WINDOW: i64 = 60_000_000;

/// Above so many windows those that are over are swept out.
const SWEEP_AT: usize = 16_384;

/// Counts requests per key, and apart from each other per space (a wire format).
#[derive(Debug, Default)]
pub struct Limiter {
    windows: Mutex<Map<(&'static str, ApiKeyId), Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Micros,
    count: u32,
}

/// How a key stands with its limit after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests a minute.
    pub limit: u32,
    /// How many are left in this window.
    pub remaining: u32,
    /// When the window ends.
    pub reset: Micros,
    /// In how many seconds that is, rounded up, at least 1.
    pub retry_after: u32,
}

impl Limiter {
    /// Counts a request of `key` at `now`.
    ///
    /// # Errors
    /// The standing when `limit` requests were counted in this window already; this one is then not counted.
    pub fn count(
        &self,
        space: &'static str,
        key: ApiKeyId,
        limit: u32,
        now: Micros,
    ) -> Result<Standing, Standing> {
        let mut windows = self.windows.lock();
        if windows.len() >= SWEEP_AT {
            windows.retain(|_, window| now < window.began.plus(WINDOW));
        }
        let window = windows
            .entry((space, key))
            .or_insert(Window { began: now, count: 0 });
        // A clock that was set back would else keep a window open for long.
        if now >= window.began.plus(WINDOW) || now < window.began {
            *window = Window { began: now, count: 0 };
        }
        let allowed = window.count < limit;
        if allowed {
            window.count += 1;
        }
        let reset = window.began.plus(WINDOW);
        let wait = (reset.0 - now.0).max(1);
        let standing = Standing {
            limit,
            remaining: limit.saturating_sub(window.count),
            reset,
            retry_after: u32::try_from((wait + 999_999) / 1_000_000).unwrap_or(u32::MAX),
        };
        if allowed { Ok(standing) } else { Err(standing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ApiKeyId = ApiKeyId(1);

    #[test]
    fn a_window_begins_with_the_first_request_and_ends_a_minute_later() {
        let limiter = Limiter::default();
        let ask = |key, at| limiter.count("a", key, 2, Micros(at));
        let standing = |remaining, reset, retry_after| Standing {
            limit: 2,
            remaining,
            reset: Micros(reset),
            retry_after,
        };
        assert_eq!(ask(KEY, 5), Ok(standing(1, WINDOW + 5, 60)));
        assert_eq!(ask(KEY, WINDOW), Ok(standing(0, WINDOW + 5, 1)));
        assert_eq!(ask(KEY, WINDOW + 4), Err(standing(0, WINDOW + 5, 1)));
        assert_eq!(ask(ApiKeyId(2), WINDOW + 4), Ok(standing(1, 2 * WINDOW + 4, 60)));
        assert_eq!(ask(KEY, WINDOW + 5), Ok(standing(1, 2 * WINDOW + 5, 60)));
        // Another wire format counts apart.
        assert_eq!(
            limiter
                .count("b", KEY, 1, Micros(WINDOW + 6))
                .map(|it| it.remaining),
            Ok(0)
        );
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_window() {
        let limiter = Limiter::default();
        assert!(limiter.count("a", KEY, 1, Micros(WINDOW * 100)).is_ok());
        assert!(limiter.count("a", KEY, 1, Micros(WINDOW)).is_ok());
        assert!(limiter.count("a", KEY, 1, Micros(WINDOW)).is_err());
    }

    #[test]
    fn windows_that_are_over_are_swept_out() {
        let limiter = Limiter::default();
        for key in 0..SWEEP_AT as u128 {
            assert!(limiter.count("a", ApiKeyId(key), 1, Micros(0)).is_ok());
        }
        assert!(limiter.count("a", KEY, 1, Micros(WINDOW)).is_ok());
        assert_eq!(limiter.windows.lock().len(), 1);
    }
}
