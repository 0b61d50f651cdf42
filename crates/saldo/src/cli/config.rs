//! `saldo config check`: what is in force, and where it came from.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::failure::Failure;
use crate::settings::{Flags, Settings};

/// The configuration.
#[derive(Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Says what `saldo serve` would use with these flags, this environment and this file, and where each setting came from
    Check {
        #[command(flatten)]
        flags: Flags,
        /// Says it as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Config {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Task::Check { flags, json } = self.task;
        let settings = Settings::read(&flags, |name| std::env::var(name).ok())?;
        if json {
            let all = settings.layers.iter().map(|setting| {
                json!({
                    "section": setting.section, "key": setting.key, "value": setting.shown(), "source": setting.source.to_string(),
                })
            });
            println!("{}", all.collect::<serde_json::Value>());
            return Ok(());
        }
        let mut section = "";
        for setting in settings.layers.iter() {
            if setting.section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                println!("{gap}[{}]", setting.section);
                section = &setting.section;
            }
            let line = format!("{} = {}", setting.key, setting.shown());
            println!("{line:<44} # {}", setting.source);
        }
        Ok(())
    }
}
