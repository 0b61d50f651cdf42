//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a step gives, or the sentence that says why it failed.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// Announces a step of several.
pub(crate) fn step(name: &str) {
    println!("\n== {name}");
}

/// The cargo that runs this task, in the root of the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    // What cargo says to this program about itself: build scripts that look at it would run again, and all that depends on them
    // be built anew, whenever cargo is called by hand and by this in turn.
    for (name, _) in std::env::vars_os() {
        let about_this = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(about_this) {
            command.env_remove(name);
        }
    }
    command
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // Cargo says at run time where this crate is. What `env!` would say is out of date when a checkout has moved or
    // shares its target folder with another.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "xtask".into());
    Path::new(&manifest).join("..")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = output(cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata is no JSON: {error}"))?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target folder".to_owned())
}

/// Runs `command` with this terminal.
pub(crate) fn run(mut command: Command) -> Result {
    let name = spell(&command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name} can't be run: {error}")),
    }
}

/// Runs `command` and gives what it prints on stdout.
pub(crate) fn output(mut command: Command) -> Result<Vec<u8>> {
    let name = spell(&command);
    match command.stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!("{name}: {}", output.status)),
        Err(error) => Err(format!("{name} can't be run: {error}")),
    }
}

/// Runs `command` and gives what it prints on stdout; what it prints on stderr is shown only when it fails.
pub(crate) fn output_quietly(mut command: Command) -> Result<Vec<u8>> {
    let name = spell(&command);
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!(
            "{name}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{name} can't be run: {error}")),
    }
}

/// Whether `command` is there and succeeds; it prints nothing.
pub(crate) fn succeeds(mut command: Command) -> bool {
    let silent = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn spell(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
