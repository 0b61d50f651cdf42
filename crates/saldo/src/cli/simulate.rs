//! `saldo simulate`: the embedded store on a simulated disk.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use store_journal::simulation::{Tally, Violation, run_many};

/// Runs without a number or a time.
const RUNS: u64 = 1_000;

/// Runs the store on a simulated disk.
#[derive(clap::Args)]
#[command(
    after_help = "Exits with 0 when every run kept what the store promises, 1 when one did not: then it says \
                        how to repeat it. It touches no file."
)]
pub(crate) struct Simulate {
    /// The first run's seed; the next ones follow. The same seed gives the same run [default: by the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many runs [default: 1000]
    #[arg(long, value_name = "N", conflicts_with = "hours")]
    runs: Option<u64>,
    /// For how long
    #[arg(long, value_name = "H", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    hours: Option<u64>,
    /// Says what happened as JSON
    #[arg(long)]
    json: bool,
}

/// How long it goes on.
enum Extent {
    Runs(u64),
    Hours(u64),
}

impl Simulate {
    pub(crate) fn run(self) -> ExitCode {
        let seed = self.seed.unwrap_or_else(by_the_clock);
        let extent = match self.hours {
            Some(hours) => Extent::Hours(hours),
            None => Extent::Runs(self.runs.unwrap_or(RUNS)),
        };
        if !self.json {
            println!("seed {seed}");
        }
        match simulate(seed, &extent) {
            Ok(tally) if self.json => println!("{}", as_json(seed, &tally)),
            Ok(tally) => print!("{}", as_text(&tally)),
            Err(violation) => {
                if self.json {
                    println!("{}", violation_as_json(&violation));
                } else {
                    println!("VIOLATION: {violation}");
                    println!("Repeat it: {}", repeat(&violation));
                }
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}

fn by_the_clock() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // Short enough to be typed again.
    u64::from(since.subsec_nanos()) ^ ((since.as_secs() << 10) & 0xFFFF_FFFF)
}

fn simulate(seed: u64, extent: &Extent) -> Result<Tally, Box<Violation>> {
    let (length, unit) = match extent {
        Extent::Runs(runs) => (*runs, "runs"),
        Extent::Hours(hours) => (hours * 3_600, "seconds"),
    };
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(length),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{msg}}")) {
        bar.set_style(style);
    }
    let began = Instant::now();
    let go_on = |begun: u64, tally: &Tally| {
        bar.set_message(format!("{} runs, {} crashes", tally.runs, crashes(tally)));
        match extent {
            Extent::Runs(runs) => {
                bar.set_position(tally.runs);
                begun < *runs
            }
            Extent::Hours(_) => {
                bar.set_position(began.elapsed().as_secs());
                began.elapsed() < Duration::from_secs(length)
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let done = run_many(seed, threads, go_on);
    bar.finish_and_clear();
    done
}

fn crashes(tally: &Tally) -> u64 {
    tally.power_losses + tally.power_losses_between + tally.kills + tally.failed_writes
}

fn as_text(tally: &Tally) -> String {
    let Tally {
        runs,
        commands,
        records,
        replays,
        refusals,
        reads,
        points,
        power_losses,
        power_losses_between,
        kills,
        failed_writes,
        failed_reads,
        full,
        torn,
        flips,
        keys,
        keys_forgotten,
        ..
    } = tally;
    format!(
        "OK: in {runs} runs with {} crashes nothing was lost, doubled, shown too early or passed over\n\
         commands answered  {commands:>12}  ({replays} from what was recorded before; {refusals} errors, sent again)\n\
         records            {records:>12}\n\
         reads compared     {reads:>12}\n\
         disk operations    {points:>12}\n\
         power lost         {power_losses:>12}  (and {power_losses_between} times while making, opening, closing)\n\
         killed             {kills:>12}\n\
         failed writes      {failed_writes:>12}  (a write or sync failed, and the process stopped)\n\
         failed reads       {failed_reads:>12}\n\
         disk full          {full:>12}\n\
         torn tails cut     {torn:>12}\n\
         flipped bits found {flips:>12}\n\
         keys of texts      {keys:>12}  ({keys_forgotten} forgotten)\n",
        crashes(tally)
    )
}

fn as_json(seed: u64, tally: &Tally) -> Value {
    let mut all = Map::new();
    all.insert("ok".into(), true.into());
    all.insert("seed".into(), seed.into());
    all.insert("crashes".into(), crashes(tally).into());
    let named = tally.named().into_iter();
    all.extend(named.map(|(name, number)| (name.to_owned(), number.into())));
    all.into()
}

fn violation_as_json(violation: &Violation) -> Value {
    let Violation {
        seed,
        life,
        step,
        wrong,
    } = violation;
    let kind = format!("{:?}", wrong.kind);
    json!({"ok": false, "seed": seed, "life": life, "step": step, "kind": kind, "what": wrong.what,
        "repeat": repeat(violation)})
}

fn repeat(violation: &Violation) -> String {
    format!("saldo simulate --seed {} --runs 1", violation.seed)
}

#[cfg(test)]
mod tests {
    use store_journal::simulation::{Kind, Wrong};

    use super::*;

    #[test]
    fn a_violation_says_how_to_repeat_it() {
        let violation = Violation {
            seed: 17,
            life: 2,
            step: 300,
            wrong: Wrong {
                kind: Kind::Lost,
                what: "a record".to_owned(),
            },
        };
        assert_eq!(violation.to_string(), "seed 17, life 2, step 300: Lost: a record");
        let said = violation_as_json(&violation);
        assert_eq!(said["repeat"], "saldo simulate --seed 17 --runs 1");
        assert_eq!((&said["ok"], &said["step"]), (&Value::Bool(false), &json!(300)));
    }
}
