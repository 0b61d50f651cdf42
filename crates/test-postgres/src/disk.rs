//! A cluster on a small disk, to be filled.
//!
//! The disk is a file system in memory, mounted in a mount namespace of the cluster's processes alone: when they end, it
//! goes, however the tests end.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::{Cluster, is_root, make_data, make_folder, run, unprivileged};

/// Mounts, then goes on with the guard; removes the folder, which is in use until the guard's namespace is gone.
const WRAP: &str = r#"
    folder=$1 size=$2 prepare=$3; shift 3
    unshare --mount --propagation private sh -c '
        folder=$1 size=$2 prepare=$3; shift 3
        mount -t tmpfs -o "size=$size,mode=0777" tmpfs "$folder/small" && eval "$prepare" && exec "$@"
    ' sh "$folder" "$size" "$prepare" "$@"
    rm -rf "$folder"
"#;

/// What lies on the small disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Small {
    /// A tablespace `small`, for databases that are made in it.
    Tablespace,
    /// The log of what is written.
    Wal,
}

/// A disk of so many bytes.
pub(crate) struct SmallDisk {
    what: Small,
    bytes: u64,
}

impl SmallDisk {
    /// The beginning of a command that runs the rest, unprivileged, where the disk is.
    pub(crate) fn wrap(&self, folder: &Path) -> Command {
        // As the one who will write there.
        let prepare = match self.what {
            Small::Tablespace => r#"install -d -o postgres -m 700 "$folder/small/space""#,
            Small::Wal => {
                r#"cp -a "$folder/data/pg_wal" "$folder/small/" && rm -rf "$folder/data/pg_wal" && ln -s ../small/pg_wal "$folder/data/""#
            }
        };
        let mut command = Command::new("sh");
        command.args(["-c", WRAP, "sh"]).arg(folder);
        command.args([&self.bytes.to_string(), prepare]);
        let inner = unprivileged("sh");
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }
}

impl Cluster {
    /// One with something of it on a disk of so many bytes; `None` where that takes rights that the tests don't have.
    ///
    /// # Panics
    /// When it does not come about; where there are no rights, also in CI, which must have them.
    #[must_use]
    pub fn start_on_small_disk(what: Small, bytes: u64, settings: &[&str]) -> Option<Arc<Self>> {
        if !is_root() {
            let ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!ci, "CI runs as root");
            println!("not run: needs root, to mount a small disk");
            return None;
        }
        let folder = make_folder();
        make_data(&folder);
        std::fs::create_dir(folder.join("small")).expect("a folder");
        let cluster = Self::run(folder, Some(SmallDisk { what, bytes }), settings);
        cluster.wait();
        if what == Small::Tablespace {
            let space = cluster.folder().join("small/space");
            cluster.admin(&format!("create tablespace small location '{}'", space.display()));
        }
        Some(cluster)
    }

    /// Fills the small disk to its last byte, until the ballast is dropped.
    ///
    /// # Panics
    /// When it can't be written to.
    #[must_use]
    pub fn fill(&self) -> Ballast {
        // The processes see the disk, others don't: their root leads there.
        let file = format!(
            "/proc/{}/root{}",
            self.pid().as_raw_nonzero(),
            self.folder.join("small/ballast").display()
        );
        let script = "cat /dev/zero >\"$1\" 2>/dev/null; test -s \"$1\"";
        // Held open, so that it is found again when the processes are others.
        let ballast = std::fs::File::create(&file).expect("a file on the small disk");
        run(Command::new("sh").args(["-c", script, "sh", &file]));
        Ballast(ballast)
    }
}

/// What fills a disk.
pub struct Ballast(std::fs::File);

impl Drop for Ballast {
    fn drop(&mut self) {
        let emptied = self.0.set_len(0);
        debug_assert!(emptied.is_ok(), "{emptied:?}");
    }
}
