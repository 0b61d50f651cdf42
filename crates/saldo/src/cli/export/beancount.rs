//! A file for beancount.

use std::io::{Result, Write};

use super::names::{Names, amount};
use super::{Ending, Form, Moved, day};

/// beancount's format.
pub(super) struct Beancount;

impl Form for Beancount {
    fn begin(&mut self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "option \"title\" \"Saldo\"")
    }

    fn transaction(&mut self, out: &mut dyn Write, names: &Names, moved: &Moved<'_>) -> Result<()> {
        writeln!(out, "\n{} * \"{}\"", day(moved.effective_at, 0), moved.kind)?;
        writeln!(out, "  id: \"{}\"", moved.id)?;
        writeln!(out, "  position: {}", moved.record.position)?;
        writeln!(
            out,
            "  recorded: \"{}\"",
            dialects::time::format(moved.record.recorded_at)
        )?;
        for made in &moved.moves {
            let Some(asset) = names.asset(made.asset.no) else {
                continue;
            };
            let value = made.post.signed();
            for (account, value) in [(made.from.no, value), (made.to.no, -value)] {
                let (account, value) = (names.account(account), amount(value, asset.exponent));
                writeln!(out, "  {account}  {value} {}", asset.commodity)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, names: &Names, ending: &Ending<'_>) -> Result<()> {
        let digest = super::super::hex(&ending.digest);
        let (no, position) = (ending.book.no, ending.book.head.position);
        writeln!(out, "\n; Book {no} at position {position}, digest {digest}")?;
        let Some((first, last)) = ending.days else {
            return Ok(());
        };
        let (first, after) = (day(first, 0), day(last, 1));
        for asset in names.assets() {
            writeln!(
                out,
                "{first} commodity {}\n  asset: \"{}\"",
                asset.commodity, asset.name
            )?;
        }
        for account in names.accounts() {
            writeln!(out, "{first} open {}\n  id: \"{}\"", account.name, account.id)?;
        }
        // A balance is that at the beginning of its day.
        for (account, asset, settled) in &ending.balances {
            let Some(asset) = names.asset(*asset) else {
                continue;
            };
            let (value, none) = (amount(-*settled, asset.exponent), amount(0, asset.exponent));
            let account = names.account(*account);
            writeln!(
                out,
                "{after} balance {account}  {value} ~ {none} {}",
                asset.commodity
            )?;
        }
        Ok(())
    }
}
