//! `cargo xtask fuzz`: the targets of `fuzz/`, one after the other, each for some time.

use std::path::PathBuf;

use crate::run::{self, Result, cargo, step};

#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// Only this target (all of them, unless it is named)
    target: Option<String>,
    /// How long each is tried
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

impl Fuzz {
    /// Stops at the first finding; cargo-fuzz says where its bytes are, and how to try them again.
    pub(crate) fn run(&self) -> Result {
        if !run::succeeds(cargo(&["fuzz", "--version"])) {
            return Err("cargo-fuzz is not installed: cargo install cargo-fuzz --locked".to_owned());
        }
        let targets = targets()?;
        if let Some(target) = &self.target
            && !targets.contains(target)
        {
            return Err(format!(
                "there is no target {target}; these are: {}",
                targets.join(", ")
            ));
        }
        for target in targets
            .iter()
            .filter(|name| self.target.as_ref().is_none_or(|only| only == *name))
        {
            step(target);
            self.try_one(target)?;
        }
        Ok(())
    }

    fn try_one(&self, target: &str) -> Result {
        let corpus = folder().join("corpus").join(target);
        std::fs::create_dir_all(&corpus)
            .map_err(|error| format!("{} can't be made: {error}", corpus.display()))?;
        // Safe Rust needs no sanitizer, and is several times as fast without. What is found goes to the first folder.
        let mut fuzz = cargo(&["fuzz", "run", "--sanitizer", "none"]);
        // The whole server is only built for what takes it.
        if target.starts_with("import") {
            fuzz.args(["--features", "import"]);
        }
        fuzz.arg(target)
            .arg(&corpus)
            .arg(folder().join("seeds").join(target));
        fuzz.arg("--")
            .arg(format!("-max_total_time={}", self.seconds))
            .args(["-timeout=10", "-rss_limit_mb=2048"]);
        // The flags by which coverage is counted are not stable.
        fuzz.env("RUSTC_BOOTSTRAP", "1");
        run::run(fuzz)
    }
}

fn folder() -> PathBuf {
    run::root().join("fuzz")
}

/// The names of all targets: each is a file.
fn targets() -> Result<Vec<String>> {
    let folder = folder().join("targets");
    let files =
        std::fs::read_dir(&folder).map_err(|error| format!("{} can't be read: {error}", folder.display()))?;
    let mut names: Vec<_> = files
        .flatten()
        .filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    Ok(names)
}
