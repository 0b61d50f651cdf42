//! `saldo completion`: what a shell needs to complete command lines.

use std::io::Write;

use clap_complete::Shell;

use super::help;
use crate::failure::Failure;

/// Completion.
#[derive(clap::Args)]
#[command(after_help = "\
bash: saldo completion bash > ~/.local/share/bash-completion/completions/saldo
zsh:  saldo completion zsh > FOLDER/_saldo, in a folder of $fpath
fish: saldo completion fish > ~/.config/fish/completions/saldo.fish")]
pub(crate) struct Completion {
    /// Which shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

impl Completion {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let shell = match self.shell.as_str() {
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            _ => Shell::Bash,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut help::command(), "saldo", &mut script);
        let written = std::io::stdout().write_all(&script);
        written.map_err(|error| Failure::while_doing("writing the script", error))
    }
}
