//! What happens beside the writing of a store in a folder, and killing the server in the midst of it.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::backup::Kept;
use crate::harness::{Random, Server, freeze, saldo, thaw};

/// What a server is killed in the midst of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// A snapshot is being written.
    Snapshot,
    /// A segment is full: the next one is being made, or the index of the full one written.
    Segment,
    /// `saldo backup` copies the store.
    Backup,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Snapshot, Self::Segment, Self::Backup];

    /// Whether a file is open only in its midst: it gets its final name when it is complete.
    fn has_open(self, file: &Path) -> bool {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(name) = name.strip_suffix(".new") else {
            return false;
        };
        match self {
            Self::Snapshot => name.ends_with(".snap"),
            Self::Segment => name.ends_with(".log") || name.ends_with(".keys"),
            Self::Backup => true,
        }
    }

    /// Kills a server that has work when this is under way. `goes_on` is called while it is not, and may panic when nothing comes
    /// of waiting.
    pub(crate) fn kill(self, server: Server, kept: &Kept, random: &mut Random, mut goes_on: impl FnMut()) {
        if self == Self::Backup {
            let backup = Frozen::new(kept, goes_on);
            server.kill();
            return backup.end(random.below(2) == 0);
        }
        while !server.freeze(|file| self.has_open(file)) {
            goes_on();
            std::thread::yield_now();
        }
        server.kill();
        // Nobody took it away or renamed it, or else the kill came after its end.
        let left = std::fs::read_dir(kept.home.store()).expect("the store is there");
        let mut left = left.map(|file| file.expect("a file").path());
        assert!(
            left.any(|file| self.has_open(&file)),
            "{self:?} was over before the kill"
        );
    }
}

/// A backup that was stopped in its midst.
struct Frozen(Child);

impl Frozen {
    fn new(kept: &Kept, mut goes_on: impl FnMut()) -> Self {
        loop {
            let arguments = kept.arguments();
            let mut command = saldo(&arguments.each_ref().map(String::as_str));
            let mut backup = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            while backup.try_wait().expect("a child").is_none() {
                if freeze(&backup, |file| Moment::Backup.has_open(file)) {
                    return Self(backup);
                }
                std::thread::yield_now();
            }
            goes_on();
        }
    }

    /// Ends here too; or goes on until the backup is whole, though nobody writes to the store any more.
    fn end(mut self, here: bool) {
        match here {
            true => self.0.kill().expect("SIGKILL"),
            false => thaw(&self.0),
        }
        let ended = self.0.wait().expect("it ends");
        assert_eq!(ended.success(), !here, "{ended}");
    }
}
