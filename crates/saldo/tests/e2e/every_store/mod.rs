//! What every store must do; the module around says on which one.

mod bench;
mod drift;
mod endpoints;
mod erasing;
mod events;
mod export;
mod hostile;
mod import;
mod kills;
mod lifecycle;
mod limits;
mod logs;
mod metrics;
mod shell;
mod stop;

use super::{KILLS, MOMENTS, home};
