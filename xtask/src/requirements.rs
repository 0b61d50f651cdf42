//! What the tests need from the machine, beyond Rust.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{self, Result};

/// A Debian package that the tests can't do without.
struct Requirement {
    package: &'static str,
    /// Succeeds when the machine has what is needed, wherever it came from.
    probe: &'static [&'static str],
    why: &'static str,
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        package: "build-essential",
        probe: &["cc", "--version"],
        why: "Rust links with cc, and the BLAKE3 crate compiles its assembly with it",
    },
    Requirement {
        package: "postgresql",
        probe: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb"],
        why: "the tests of the PostgreSQL store start a cluster of their own",
    },
    Requirement {
        package: "pgbouncer",
        // Debian has it where only root looks.
        probe: &["sh", "-c", "PATH=$PATH:/usr/sbin pgbouncer --version"],
        why: "servers are tested behind a pooler too",
    },
    Requirement {
        package: "curl",
        probe: &["curl", "--version"],
        why: "the curl lines that the sandbox prints are run as they are",
    },
    Requirement {
        package: "hledger",
        probe: &["hledger", "--version"],
        why: "exports are shown to it",
    },
    Requirement {
        package: "python3-venv",
        probe: &["python3", "-c", "import ensurepip, venv"],
        why: "beancount, which exports are shown to, and schemathesis, which tries the API, are installed from PyPI",
    },
];

/// The version of schemathesis, which the end-to-end tests look for under it too.
const SCHEMATHESIS: &str = "4.32.5";

/// Installs what is missing where that is possible, else says what to install.
pub(crate) fn meet() -> Result {
    debian()?;
    schemathesis()
}

/// schemathesis in an environment of its own beside what cargo builds: no root is needed.
fn schemathesis() -> Result {
    let folder: PathBuf = run::target()?.join(format!("schemathesis-{SCHEMATHESIS}"));
    let program = folder.join("bin/schemathesis");
    let mut probe = Command::new(&program);
    probe.arg("--version");
    if run::succeeds(probe) {
        return Ok(());
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    run::run(make)?;
    let mut install = Command::new(folder.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    install.arg(format!("schemathesis=={SCHEMATHESIS}"));
    run::run(install)
}

fn debian() -> Result {
    let missing: Vec<_> = REQUIREMENTS
        .iter()
        .filter(|requirement| !requirement.is_met())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for Requirement { package, why, .. } in &missing {
        println!("missing: {package} ({why})");
    }
    let packages: Vec<_> = missing.iter().map(|requirement| requirement.package).collect();
    if !is_root() {
        return Err(format!(
            "the tests need more than this machine has; run: sudo apt-get install {}",
            packages.join(" ")
        ));
    }
    // A fresh container has no package lists.
    run::run(apt_get(&["update"]))?;
    run::run(apt_get(
        &[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat(),
    ))?;
    match missing.iter().find(|requirement| !requirement.is_met()) {
        None => Ok(()),
        Some(Requirement { package, probe, .. }) => Err(format!(
            "{package} is installed, but `{}` still fails",
            probe.join(" ")
        )),
    }
}

impl Requirement {
    fn is_met(&self) -> bool {
        let mut probe = Command::new(self.probe[0]);
        probe.args(&self.probe[1..]);
        run::succeeds(probe)
    }
}

fn is_root() -> bool {
    let mut id = Command::new("id");
    id.arg("-u");
    run::output(id).is_ok_and(|uid| uid.trim_ascii() == b"0")
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_tells_what_is_there() {
        let requirement = |probe| Requirement {
            package: "any",
            probe,
            why: "a test",
        };
        assert!(requirement(&["true"]).is_met());
        assert!(!requirement(&["false"]).is_met());
        assert!(!requirement(&["no-such-program-anywhere", "--version"]).is_met());
    }
}
