//! The command line as a whole: its commands in groups, and what several of them say.

use std::fmt::Write;

use clap::CommandFactory;

use super::{Cli, api};

/// Every command, by what it is for.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Serve", &["sandbox", "init", "serve", "config"]),
    (
        "Ask a running server",
        &[
            "post",
            "balance",
            "transaction",
            "hold",
            "account",
            "customer",
            "client",
            "key",
            "signing-key",
            "events",
            "asset",
            "rate",
        ],
    ),
    (
        "Look after a store",
        &[
            "verify", "backup", "restore", "export", "import", "copy", "migrate",
        ],
    ),
    ("Try and measure", &["bench", "simulate"]),
    ("This program", &["completion", "man"]),
];

/// Those that talk to a server.
const API: usize = 1;

/// The command line, as it is parsed, completed and described.
pub(super) fn command() -> clap::Command {
    // `mut_subcommand` would move each to the end.
    let command = Cli::command().mut_subcommands(|noun| {
        if !GROUPS[API].1.contains(&noun.get_name()) {
            return noun;
        }
        let noun = noun.after_help(api::AFTER_HELP).disable_help_subcommand(true);
        noun.mut_subcommands(|verb| verb.after_help(api::AFTER_HELP))
    });
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{}\n{{options}}{{after-help}}",
        groups(&command),
        heading(&command, "Options")
    );
    command.help_template(template)
}

/// A line for each command under the heading of its group.
fn groups(command: &clap::Command) -> String {
    let styles = command.get_styles().get_literal();
    let mut text = String::new();
    for (title, names) in GROUPS {
        text += &heading(command, title);
        text.push('\n');
        for name in names {
            let found = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = found.map(ToString::to_string).unwrap_or_default();
            // A text in memory takes everything.
            let _ = writeln!(text, "  {styles}{name:<11}{styles:#}  {about}");
        }
        text.push('\n');
    }
    text
}

fn heading(command: &clap::Command, title: &str) -> String {
    let style = command.get_styles().get_header();
    format!("{style}{title}:{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group_and_in_its_order() {
        let command = command();
        let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        let grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        assert_eq!(grouped, names);
    }

    #[test]
    fn everything_has_a_line_of_its_own() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path}");
            for argument in command
                .get_arguments()
                .filter(|argument| !argument.is_positional())
            {
                assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
            }
            command.get_subcommands().for_each(|verb| check(verb, &path));
        }
        check(&command(), "");
    }
}
