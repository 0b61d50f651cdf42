//! Who used how much of the machine: processor time from `/proc`, where there is one.

use std::collections::BTreeMap;
use std::time::Duration;

/// `/proc` counts in hundredths of a second on every Linux that user programs see.
const TICK: Duration = Duration::from_millis(10);

/// A process with its descendants, by a name: `NAME=PID`.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    name: String,
    pid: u32,
}

impl std::str::FromStr for Watched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').ok_or("must be NAME=PID")?;
        let pid = pid.parse().map_err(|_| "the PID must be a number")?;
        Ok(Self {
            name: name.to_owned(),
            pid,
        })
    }
}

/// Processor time used so far, by name; `generator` is this process, `machine` all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu(pub(super) BTreeMap<String, Duration>);

impl Cpu {
    /// What was used until now. What can't be told is left out.
    pub(super) fn now(watched: &[Watched]) -> Self {
        let mut used = BTreeMap::new();
        let processes = Process::all();
        let mut add = |name: &str, pid: u32| {
            if processes.contains_key(&pid) {
                *used.entry(name.to_owned()).or_default() += of_tree(&processes, pid);
            }
        };
        add("generator", std::process::id());
        watched.iter().for_each(|one| add(&one.name, one.pid));
        if let Some(busy) = std::fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|text| machine(&text))
        {
            used.insert("machine".to_owned(), busy);
        }
        Self(used)
    }

    /// What was used since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let used = |(name, now): (&String, &Duration)| {
            let before = before.0.get(name)?;
            Some((name.clone(), now.saturating_sub(*before)))
        };
        Self(self.0.iter().filter_map(used).collect())
    }
}

/// What `/proc/PID/stat` tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Its own time, and that of its children that ended.
    used: Duration,
}

impl Process {
    fn all() -> BTreeMap<u32, Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let process = |entry: std::fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, Self::read(&stat)?))
        };
        entries.filter_map(process).collect()
    }

    fn read(stat: &str) -> Option<Self> {
        // The name, in parentheses, may have anything in it, these too.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |nth: usize| fields.get(nth)?.parse::<u32>().ok();
        let ticks = (11..15).map(number).sum::<Option<u32>>()?;
        Some(Self {
            parent: number(1)?,
            used: TICK * ticks,
        })
    }
}

fn of_tree(processes: &BTreeMap<u32, Process>, root: u32) -> Duration {
    let mut tree = vec![root];
    let mut used = Duration::ZERO;
    while let Some(pid) = tree.pop() {
        used += processes.get(&pid).map_or(Duration::ZERO, |process| process.used);
        let children = processes.iter().filter(|(_, process)| process.parent == pid);
        tree.extend(children.map(|(child, _)| *child));
    }
    used
}

/// Busy time of all processors: in programs, the kernel, and interrupts.
fn machine(stat: &str) -> Option<Duration> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = all
        .split_ascii_whitespace()
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    let [user, nice, system, _idle, _waiting, hard, soft, ..] = ticks[..] else {
        return None;
    };
    Some(Duration::from_millis(10 * (user + nice + system + hard + soft)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_processes_is_summed() {
        let stat = |name: &str, parent: u32, ticks: [u32; 4]| {
            let [user, system, ended_user, ended_system] = ticks;
            let text = format!(
                "7 ({name}) S {parent} 1 1 0 -1 4194560 1 2 3 4 {user} {system} {ended_user} {ended_system} 20 0 1"
            );
            Process::read(&text).unwrap()
        };
        let processes = [
            (1, stat("init", 0, [1000, 0, 0, 0])),
            (5, stat("a (b) c", 1, [1, 2, 3, 4])),
            (6, stat("child", 5, [10, 0, 0, 0])),
            (7, stat("grandchild", 6, [0, 20, 0, 0])),
        ];
        assert_eq!(of_tree(&processes.into(), 5), Duration::from_millis(400));
        assert_eq!(Process::read("nonsense"), None);
    }

    #[test]
    fn the_machine_is_busy_without_what_it_idles() {
        let text = "cpu  10 1 20 99999 500 3 4 7 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(machine(text), Some(Duration::from_millis(380)));
        assert_eq!(machine("intr 1 2 3"), None);
    }

    #[test]
    fn a_name_and_a_process_are_watched() {
        assert!("postgres=12".parse::<Watched>().is_ok());
        for wrong in ["postgres", "12", "a=b", ""] {
            assert!(wrong.parse::<Watched>().is_err(), "{wrong}");
        }
    }
}
