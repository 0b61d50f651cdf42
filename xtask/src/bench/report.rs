//! BENCHMARKS.md: what was measured, where, and how it stands to what was meant to be reached.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::run::{self, Result};

/// One measurement.
pub(super) struct Measured {
    /// By this it is found.
    pub(super) key: &'static str,
    pub(super) name: String,
    pub(super) per_second: u64,
    /// The median and the 99th percentile, in µs.
    pub(super) latency: Option<(u64, u64)>,
    pub(super) cpu: Option<Cpu>,
}

/// Who used the processors, in percent of one.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    /// None where there is none.
    pub(super) postgres: Option<u64>,
    pub(super) saldo: u64,
    pub(super) generator: u64,
}

/// What was measured on one store: in each round the same, in the same order.
pub(super) struct Part {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// What else has to be known, each with its name.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) rounds: Vec<Vec<Measured>>,
    pub(super) goals: &'static [Goal],
}

/// How it was measured.
pub(super) struct Circumstances {
    pub(super) command: String,
    pub(super) load_before: String,
}

/// A ratio that is meant to be reached, in hundredths.
pub(super) struct Goal {
    pub(super) what: &'static str,
    pub(super) measured: &'static str,
    /// Keys; of several the fastest counts.
    pub(super) against: &'static [&'static str],
    pub(super) at_least: u64,
}

/// The lowest, the middle and the highest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Spread {
    least: u64,
    median: u64,
    most: u64,
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        Some(Self {
            least: *values.first()?,
            // Of an even number the lower of the two in the middle.
            median: *values.get((values.len() - 1) / 2)?,
            most: *values.last()?,
        })
    }
}

impl Goal {
    /// The ratio in each round: what stands side by side saw the same neighbours.
    fn ratio(&self, rounds: &[Vec<Measured>]) -> Option<Spread> {
        let rate = |round: &[Measured], key: &str| {
            let found = round.iter().find(|one| one.key == key);
            found.map(|one| one.per_second)
        };
        let ratio = |round: &Vec<Measured>| {
            let against = self.against.iter().filter_map(|key| rate(round, key)).max()?;
            Some(rate(round, self.measured)? * 100 / against.max(1))
        };
        Spread::of(rounds.iter().map(ratio).collect::<Option<_>>()?)
    }
}

impl Part {
    /// All of it, as Markdown.
    pub(super) fn text(&self, circumstances: &Circumstances) -> Result<String> {
        let mut text = format!("{}\n\n{}\n\n", self.heading(), self.about);
        text += &self.circumstances(circumstances)?;
        text += "\n### Measurements\n\nMedians of the rounds, in brackets the lowest and the highest. CPU in percent of one processor.\n\n";
        text += &self.table();
        text += "\n### Goals\n\nEach ratio is taken within a round.\n\n";
        text += &self.goals();
        Ok(text)
    }

    fn heading(&self) -> String {
        format!("## {}", self.title)
    }

    fn circumstances(&self, circumstances: &Circumstances) -> Result<String> {
        let mut text = String::new();
        let mut line = |what: &str, value: &str| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "- {what}: {}", value.trim());
        };
        line("Machine", &machine());
        for (what, value) in &self.facts {
            line(what, value);
        }
        line("Commit", &commit()?);
        line("Date", &said(Command::new("date").args(["-u", "+%F %H:%M UTC"]))?);
        line("Command", &circumstances.command);
        line(
            "Load before the run, after it",
            &format!(
                "{}; {} (what runs beside takes its share: 0 is a quiet machine)",
                circumstances.load_before,
                load_average()
            ),
        );
        Ok(text)
    }

    fn table(&self) -> String {
        let mut all = self.rounds.iter().flatten();
        // Where none was measured, there is no PostgreSQL.
        let postgres = all.any(|one| one.cpu.is_some_and(|cpu| cpu.postgres.is_some()));
        let mut text = match postgres {
            true => String::from(
                "| | per second | p50 ms | p99 ms | CPU of PostgreSQL | of Saldo | of the generator |\n\
                 |---|---:|---:|---:|---:|---:|---:|\n",
            ),
            false => String::from(
                "| | per second | p50 ms | p99 ms | CPU of the server | of the generator |\n\
                 |---|---:|---:|---:|---:|---:|\n",
            ),
        };
        let Some(first) = self.rounds.first() else {
            return text;
        };
        for (nth, one) in first.iter().enumerate() {
            let all = || self.rounds.iter().filter_map(move |round| round.get(nth));
            let middle = |value: &dyn Fn(&Measured) -> Option<u64>| {
                Spread::of(all().filter_map(value).collect()).map(|spread| spread.median)
            };
            let millis = |micros: Option<u64>| {
                micros.map_or(String::new(), |micros| {
                    format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
                })
            };
            let percent = |share: Option<u64>| share.map_or(String::new(), |share| format!("{share} %"));
            let rate = Spread::of(all().map(|one| one.per_second).collect());
            let rate = rate.map_or(String::new(), |rate| {
                format!(
                    "{} ({} – {})",
                    grouped(rate.median),
                    grouped(rate.least),
                    grouped(rate.most)
                )
            });
            let mut cells = vec![
                one.name.clone(),
                rate,
                millis(middle(&|one| one.latency.map(|(median, _)| median))),
                millis(middle(&|one| one.latency.map(|(_, high)| high))),
            ];
            if postgres {
                cells.push(percent(middle(&|one| one.cpu.and_then(|cpu| cpu.postgres))));
            }
            cells.push(percent(middle(&|one| one.cpu.map(|cpu| cpu.saldo))));
            cells.push(percent(middle(&|one| one.cpu.map(|cpu| cpu.generator))));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }

    fn goals(&self) -> String {
        let mut text = String::from("| | goal | measured | |\n|---|---:|---:|---|\n");
        for goal in self.goals {
            let Some(ratio) = goal.ratio(&self.rounds) else {
                continue;
            };
            let verdict = match ratio.median >= goal.at_least {
                true => "reached",
                false => "**not reached**",
            };
            let _ = writeln!(
                text,
                "| {} | ≥ {} | {} ({} – {}) | {verdict} |",
                goal.what,
                hundredths(goal.at_least),
                hundredths(ratio.median),
                hundredths(ratio.least),
                hundredths(ratio.most),
            );
        }
        text
    }
}

/// What stands above the figures.
const HEAD: &str = "\
# Benchmarks

Saldo beside what one would use instead, measured in turns in one run by `cargo xtask bench`. [docs/bench.md](docs/bench.md)
says what is measured and how. What else a machine does changes the figures by factors: compare figures of one run alone.

";

/// Writes what was measured in its place; the other parts stay as they are.
pub(super) fn write(file: &Path, part: &Part, text: &str) -> Result {
    let before = match std::fs::read_to_string(file) {
        Ok(before) => before,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    std::fs::write(file, replaced(&before, &part.heading(), text))
        .map_err(|error| format!("writing {}: {error}", file.display()))
}

/// A report with this text in the place of the part under the same heading, or before the others.
fn replaced(before: &str, heading: &str, text: &str) -> String {
    let mut parts: Vec<_> = before.split("\n## ").skip(1).collect();
    let new = text.trim_start_matches("## ");
    let title = heading.trim_start_matches("## ");
    match parts.iter_mut().find(|part| part.lines().next() == Some(title)) {
        Some(part) => *part = new,
        None => parts.insert(0, new),
    }
    let parts: Vec<_> = parts
        .iter()
        .map(|part| format!("## {}\n", part.trim_end()))
        .collect();
    format!("{HEAD}{}", parts.join("\n"))
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a command says, or why it can't.
pub(super) fn said(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Processor, memory and kernel, as far as the machine says.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let (cpus, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kib = value(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    format!(
        "{count} × {}, {} GiB of memory, Linux {}",
        value(&cpus, "model name").unwrap_or_default(),
        kib.unwrap_or(0) >> 20,
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// The first of the load averages: how many threads ran or wanted to, in the last minute.
pub(super) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

pub(super) fn file_system(folder: &Path) -> Result<String> {
    said(Command::new("stat").args(["-f", "-c", "%T"]).arg(folder))
}

/// Fails where a sync costs nothing.
pub(super) fn refuse_memory(folder: &Path) -> Result {
    match file_system(folder)?.as_str() {
        "tmpfs" | "ramfs" => Err(format!(
            "{} is in memory, where a sync costs nothing; set TMPDIR to a folder on a disk",
            folder.display()
        )),
        _ => Ok(()),
    }
}

fn commit() -> Result<String> {
    let git = |arguments: &[&str]| said(Command::new("git").args(arguments).current_dir(run::root()));
    let head = git(&["log", "-1", "--format=%h %s"])?;
    // The report itself may be changed: it is about to be.
    Ok(
        match git(&["status", "--porcelain", "--", ":!BENCHMARKS.md"])?.is_empty() {
            true => head,
            false => format!("{head}, with changes"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(key: &'static str, per_second: u64) -> Measured {
        Measured {
            key,
            name: key.to_owned(),
            per_second,
            latency: Some((1_250, 9_999)),
            cpu: None,
        }
    }

    #[test]
    fn a_ratio_is_taken_within_its_round_against_the_fastest() {
        let round = |posts, few, many| {
            vec![
                measured("plain-few", few),
                measured("plain-many", many),
                measured("posts", posts),
            ]
        };
        let rounds = [round(400, 100, 50), round(300, 20, 100), round(900, 200, 300)];
        let spread = |least, median, most| Some(Spread { least, median, most });
        const GOALS: [Goal; 2] = [
            Goal {
                what: "posts : the faster one",
                measured: "posts",
                against: &["plain-few", "plain-many"],
                at_least: 400,
            },
            Goal {
                what: "hot : plain",
                measured: "hot",
                against: &["plain-few"],
                at_least: 100,
            },
        ];
        assert_eq!(GOALS[0].ratio(&rounds), spread(300, 300, 400));
        assert_eq!(GOALS[1].ratio(&rounds), None, "nothing hot was measured");
        let run = Part {
            title: "A store",
            about: "",
            facts: Vec::new(),
            rounds: rounds.into(),
            goals: &GOALS,
        };
        let goals = run.goals();
        assert!(
            goals.contains("≥ 4.00 | 3.00 (3.00 – 4.00) | **not reached**"),
            "{goals}"
        );
        let table = run.table();
        assert!(
            table.contains("| posts | 400 (300 – 900) | 1.2 | 9.9 |  |  |"),
            "{table}"
        );
    }

    #[test]
    fn a_part_takes_the_place_of_its_predecessor() {
        let one = replaced("", "## One", "## One\n\n### Goals\n\n1\n");
        assert_eq!(one, format!("{HEAD}## One\n\n### Goals\n\n1\n"));
        let both = replaced(&one, "## Two", "## Two\n\n2\n");
        assert_eq!(both, format!("{HEAD}## Two\n\n2\n\n## One\n\n### Goals\n\n1\n"));
        let again = replaced(&both, "## One", "## One\n\n3\n");
        assert_eq!(again, format!("{HEAD}## Two\n\n2\n\n## One\n\n3\n"));
    }

    #[test]
    fn numbers_are_spelled_for_people() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([5, 80, 1_000].map(hundredths), ["0.05", "0.80", "10.00"]);
    }

    #[test]
    fn the_machine_is_named() {
        assert!(machine().contains("GiB of memory, Linux"));
    }
}
