//! The wire formats, from request to answer, on the reference model. The binary's tests run `every_store` on the others.

mod every_store;
mod json;
mod openapi;
mod spelling;

use std::any::Any;
use std::sync::Arc;

use service::Clock;
use store::Store;
use store::model::Model;

/// An empty model lives in nothing.
async fn open(clock: Clock) -> (Arc<dyn Store>, Box<dyn Any>) {
    (Arc::new(Model::new(move || clock.now())), Box::new(()))
}
