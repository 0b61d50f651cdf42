//! A second PostgreSQL that follows a first one.

use std::sync::Arc;
use std::time::Instant;

use crate::{Cluster, PATIENCE, bin, make_folder, on_tcp, run, unprivileged};

impl Cluster {
    /// A copy of this one on a port of its own, which follows it and is waited for by every commit from now on.
    ///
    /// # Panics
    /// When it does not come about.
    #[must_use]
    pub fn synchronous_standby(&self, settings: &[&str]) -> Arc<Cluster> {
        self.wait();
        let folder = make_folder();
        run(unprivileged(bin().join("pg_basebackup"))
            .args([
                "--no-sync",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
            ])
            .arg("--dbname")
            .arg(self.url("postgres"))
            .arg("-D")
            .arg(folder.join("data")));
        // Under this name the first one knows it.
        let named = [&["cluster_name=standby"], settings].concat();
        let standby = Self::run(folder, None, &on_tcp(&named));
        self.admin("alter system set synchronous_standby_names = 'standby'");
        self.admin("select pg_reload_conf()");
        let begun = Instant::now();
        let following = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        while self.try_sql("postgres", following).as_deref() != Ok("1") {
            assert!(begun.elapsed() < PATIENCE, "it follows: {}", standby.log());
            std::thread::yield_now();
        }
        standby
    }

    /// Makes a standby the first one.
    pub fn promote(&self) {
        self.admin("select pg_promote()");
    }
}
