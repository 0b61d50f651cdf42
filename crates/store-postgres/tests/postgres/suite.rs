//! The suite that every store passes, on PostgreSQL.

use std::sync::Arc;

use store::Store;
use store::suite::{Backend, now};
use store_postgres::{Options, PostgresStore, Url, create, verify};

use test_postgres::{Cluster, Database};

/// Databases in the tests' cluster.
struct Postgres;

impl Backend for Postgres {
    type Place = Database;

    async fn place(&self) -> Self::Place {
        Cluster::shared().database(make_store).await
    }

    async fn open(&self, place: &Self::Place) -> Arc<dyn Store> {
        let url = Url::parse(&place.url()).expect("a URL");
        let store = PostgresStore::open(&url, options()).await;
        Arc::new(store.expect("the store opens"))
    }

    fn servers(&self) -> usize {
        3
    }

    async fn verify(&self, place: &Self::Place) -> Result<(), String> {
        let url = Url::parse(&place.url()).expect("a URL");
        let checked = verify(&url, &options(), |_| {}).await;
        checked.map(|_| ()).map_err(|error| error.to_string())
    }

    fn share(&self) -> u64 {
        // Each read takes a trip to another process.
        10
    }
}

/// The usual options, on a database that does not sync.
pub(crate) fn options() -> Options {
    let mut options = Options::new(Arc::new(now));
    options.allow_unsafe = true;
    options
}

/// Makes a store in a database.
pub(crate) async fn make_store(url: String) {
    let url = Url::parse(&url).expect("a URL");
    create(&url, &options()).await.expect("a store is made");
}

store::suite!(Postgres);
