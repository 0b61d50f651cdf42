//! `saldo man`: manual pages.

use std::io::Write;
use std::path::PathBuf;

use super::help;
use crate::failure::Failure;

/// Manual pages.
#[derive(clap::Args)]
#[command(after_help = "`saldo man | man -l -` shows the page.")]
pub(crate) struct Man {
    /// Writes a page for each command into this folder, saldo.1 being the first, instead of printing that
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let command = help::command();
        match self.to {
            Some(folder) => {
                let made = std::fs::create_dir_all(&folder);
                let written = made.and_then(|()| clap_mangen::generate_to(command, &folder));
                written
                    .map_err(|error| Failure::while_doing(&format!("writing to {}", folder.display()), error))
            }
            None => {
                let mut page = Vec::new();
                let rendered = clap_mangen::Man::new(command).render(&mut page);
                let printed = rendered.and_then(|()| std::io::stdout().write_all(&page));
                printed.map_err(|error| Failure::while_doing("writing the page", error))
            }
        }
    }
}
