//! The suite on its own oracle: what the suite asks can be answered.

use std::sync::Arc;

use store::Store;
use store::model::Model;
use store::suite::{Backend, now};

struct OfModels;

impl Backend for OfModels {
    type Place = Arc<Model>;

    async fn place(&self) -> Self::Place {
        Arc::new(Model::new(now))
    }

    async fn open(&self, place: &Self::Place) -> Arc<dyn Store> {
        place.open();
        Arc::clone(place) as Arc<dyn Store>
    }
}

store::suite!(OfModels);
