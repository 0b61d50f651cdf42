//! A journal for hledger.

use std::io::{Result, Write};

use super::names::{Asset, Names, amount};
use super::{Ending, Form, Moved, day};

/// hledger's journal format.
pub(super) struct Hledger;

/// A commodity as hledger takes it: quoted, unless it has letters alone.
fn commodity(asset: &Asset) -> String {
    let name = asset.name.as_str();
    match name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

impl Form for Hledger {
    fn begin(&mut self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "decimal-mark .")
    }

    fn transaction(&mut self, out: &mut dyn Write, names: &Names, moved: &Moved<'_>) -> Result<()> {
        writeln!(
            out,
            "\n{} * ({}) {}  ; position: {}, recorded: {}",
            day(moved.effective_at, 0),
            moved.id,
            moved.kind,
            moved.record.position,
            dialects::time::format(moved.record.recorded_at)
        )?;
        for made in &moved.moves {
            let Some(asset) = names.asset(made.asset.no) else {
                continue;
            };
            let (value, unit) = (made.post.signed(), commodity(asset));
            for (account, value) in [(made.from.no, value), (made.to.no, -value)] {
                writeln!(
                    out,
                    "    {}  {} {unit}",
                    names.account(account),
                    amount(value, asset.exponent)
                )?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, names: &Names, ending: &Ending<'_>) -> Result<()> {
        let digest = super::super::hex(&ending.digest);
        let (no, position) = (ending.book.no, ending.book.head.position);
        writeln!(out, "\n; Book {no} at position {position}, digest {digest}")?;
        for asset in names.assets() {
            // The decimal mark must be there, also where no decimal is.
            let mark = if asset.exponent == 0 { "." } else { "" };
            writeln!(
                out,
                "commodity {}{mark} {}",
                amount(0, asset.exponent),
                commodity(asset)
            )?;
        }
        for account in names.accounts() {
            writeln!(out, "account {}  ; id: {}", account.name, account.id)?;
        }
        let Some((_, last)) = ending.days else {
            return Ok(());
        };
        writeln!(out, "\n{} * what every account has in the end", day(last, 0))?;
        for (account, asset, settled) in &ending.balances {
            let Some(asset) = names.asset(*asset) else {
                continue;
            };
            let (unit, none) = (commodity(asset), amount(0, asset.exponent));
            writeln!(
                out,
                "    {}  {none} {unit} = {} {unit}",
                names.account(*account),
                amount(-*settled, asset.exponent)
            )?;
        }
        Ok(())
    }
}
