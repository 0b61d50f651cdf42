//! On PostgreSQL, each test in a database of its own.

use std::any::Any;
use std::sync::Arc;

use service::Clock;
use store::Store;
use store_postgres::{Options, PostgresStore, Url, create};
use test_postgres::Cluster;

#[path = "../../../dialects/tests/dialects/every_store/mod.rs"]
mod every_store;

async fn open(clock: Clock) -> (Arc<dyn Store>, Box<dyn Any>) {
    let mut options = Options::new(Arc::new(move || clock.now()));
    options.allow_unsafe = true;
    // Many tests share one PostgreSQL.
    options.connections = 4;
    let make_store = async |url: String| {
        let url = Url::parse(&url).expect("a URL");
        create(&url, &options).await.expect("a store is made");
    };
    let place = Cluster::shared().database(make_store).await;
    let url = Url::parse(&place.url()).expect("a URL");
    let store = PostgresStore::open(&url, options).await.expect("the store opens");
    (Arc::new(store), Box::new(place))
}
