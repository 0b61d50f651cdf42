//! Opening balances as CSV: `customer,name,asset,amount`. Each customer of a number gets accounts as needed: what it has goes to `main`,
//! what it owes to `receivable`, against one `external` account.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use ledger::{
    AccountId, Action, Amount, AssetName, CustomerId, NewAccount, NewCustomer, Notes, Owner, Plain, Posting,
    Purpose, Transaction, TransactionId,
};

use super::Target;
use super::lines::{Item, Problems};

/// Reads opening balances.
pub(super) fn read(
    input: impl Read,
    target: &Target,
    each: &mut dyn FnMut(Item),
) -> std::io::Result<Problems> {
    let mut input = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(input);
    let mut problems = Problems::default();
    let columns = match input.byte_headers() {
        Ok(head) => Columns::of(head),
        Err(error) => return Err(error.into()),
    };
    let columns = match columns {
        Ok(columns) => columns,
        Err(what) => {
            problems.add(1, what);
            return Ok(problems);
        }
    };
    let mut balances = Balances::new(target);
    each(balances.outside());
    let mut record = csv::ByteRecord::new();
    loop {
        match input.read_byte_record(&mut record) {
            Ok(false) => return Ok(problems),
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                problems.add(line, format!("it can't be read: {error}"));
                return Ok(problems);
            }
            Ok(true) => {}
        }
        let line = record.position().map_or(1, csv::Position::line);
        match columns.row(&record).and_then(|row| balances.take(line, &row)) {
            Ok(items) => items.into_iter().for_each(&mut *each),
            Err(what) => problems.add(line, what),
        }
    }
}

/// Which column is which.
struct Columns {
    customer: usize,
    name: Option<usize>,
    asset: usize,
    amount: usize,
    count: usize,
}

/// A row's cells.
struct Row<'a> {
    customer: &'a str,
    name: Option<&'a str>,
    asset: &'a str,
    amount: &'a str,
}

impl Columns {
    fn of(head: &csv::ByteRecord) -> Result<Self, String> {
        let names: Vec<_> = head
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let known = ["customer", "name", "asset", "amount"];
        if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!(
                "there is no column `{other}`; the first line is `customer,name,asset,amount`"
            ));
        }
        let find = |name: &str| names.iter().position(|other| other == name);
        let need = |name: &str| find(name).ok_or_else(|| format!("the column `{name}` is missing"));
        if names.iter().collect::<HashSet<_>>().len() != names.len() {
            return Err("a column is there twice".to_owned());
        }
        Ok(Self {
            customer: need("customer")?,
            name: find("name"),
            asset: need("asset")?,
            amount: need("amount")?,
            count: names.len(),
        })
    }

    fn row<'a>(&self, record: &'a csv::ByteRecord) -> Result<Row<'a>, String> {
        if record.len() != self.count {
            return Err(format!(
                "it has {} cells, and the first line has {}",
                record.len(),
                self.count
            ));
        }
        let cell = |nth: usize| {
            let text = std::str::from_utf8(record.get(nth).unwrap_or_default());
            text.map_err(|_| "it is not UTF-8".to_owned())
        };
        Ok(Row {
            customer: cell(self.customer)?,
            name: self.name.map(cell).transpose()?.filter(|name| !name.is_empty()),
            asset: cell(self.asset)?,
            amount: cell(self.amount)?,
        })
    }
}

/// What was read so far.
struct Balances<'a> {
    target: &'a Target,
    assets: HashMap<AssetName, Arc<ledger::Asset>>,
    /// The name and line of each customer.
    customers: HashMap<i64, (String, u64)>,
    accounts: HashSet<AccountId>,
    /// The line of each balance.
    balances: HashMap<(i64, AssetName), u64>,
}

impl<'a> Balances<'a> {
    fn new(target: &'a Target) -> Self {
        Self {
            target,
            assets: target
                .assets
                .iter()
                .map(|asset| (asset.name, Arc::clone(asset)))
                .collect(),
            customers: HashMap::new(),
            accounts: HashSet::new(),
            balances: HashMap::new(),
        }
    }

    /// The same id whenever the file is read: a UUID of version 7, of the time of the root client's.
    fn id(&self, of: &str) -> u128 {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(b"saldo opening balances")
            .update(&self.target.root.0.to_be_bytes())
            .update(of.as_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        const TIME: u128 = !0 << 80;
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0x3 << 62;
        let chosen = u128::from_be_bytes(bytes) & !(TIME | VERSION | VARIANT);
        (self.target.root.0 & TIME) | 0x7 << 76 | 0x2 << 62 | chosen
    }

    fn account(&self, owner: Owner, of: &str, purpose: Purpose, label: &str) -> Action<Plain> {
        Action::CreateAccount(NewAccount {
            id: AccountId(self.id(of)),
            owner,
            purpose,
            label: label.into(),
            currency: None,
            primary: false,
            limits: Vec::new(),
            notes: Notes::default(),
        })
    }

    /// The account for the world outside.
    fn outside(&self) -> Item {
        let owner = Owner::Client(self.target.root);
        item(
            1,
            self.account(owner, "outside", Purpose::External, "opening balances"),
        )
    }

    /// What a row is to do.
    fn take(&mut self, line: u64, row: &Row<'_>) -> Result<Vec<Item>, String> {
        let number = row.customer.parse::<i64>().ok().filter(|number| *number > 0);
        let number = number.ok_or("`customer` must be a number from 1 to 9223372036854775807")?;
        let asset = AssetName::parse(row.asset)
            .and_then(|name| self.assets.get(&name))
            .cloned();
        let asset = asset.ok_or_else(|| format!("`asset`: there is no {} in this store", row.asset))?;
        let (owes, amount) = minor(row.amount, &asset)?;
        if let Some(before) = self.balances.insert((number, asset.name), line) {
            return Err(format!(
                "customer {number} has an amount in {} on line {before} already",
                asset.name
            ));
        }
        let mut items = Vec::new();
        let customer = CustomerId(self.id(&format!("customer {number}")));
        match self.customers.get(&number) {
            Some((name, before)) => {
                if row.name.is_some_and(|other| other != name) {
                    return Err(format!("customer {number} has another name on line {before}"));
                }
            }
            None => {
                let name = row
                    .name
                    .map_or_else(|| format!("Customer {number}"), str::to_owned);
                let made = Action::CreateCustomer(NewCustomer {
                    id: customer,
                    client: self.target.root,
                    legal_name: name.as_str().into(),
                    number: Some(number),
                    notes: Notes::default(),
                });
                service::check_texts(&made).map_err(|problem| dialects::problem::detail(&problem))?;
                items.push(item(line, made));
                self.customers.insert(number, (name, line));
            }
        }
        let purpose = if owes { Purpose::Receivable } else { Purpose::Main };
        let of = format!("{} of {number}", purpose.as_str());
        let (account, outside) = (AccountId(self.id(&of)), AccountId(self.id("outside")));
        if self.accounts.insert(account) {
            items.push(item(
                line,
                self.account(Owner::Customer(customer), &of, purpose, ""),
            ));
        }
        if !amount.is_zero() {
            let (from, to) = if owes {
                (account, outside)
            } else {
                (outside, account)
            };
            let asset = asset.name;
            items.push(item(
                line,
                Action::Post(Transaction {
                    id: TransactionId(self.id(&format!("{asset} of {number}"))),
                    postings: [Posting {
                        from,
                        to,
                        asset,
                        amount,
                    }]
                    .into_iter()
                    .collect(),
                    texts: None,
                    effective_at: None,
                    hold: None,
                    force: false,
                }),
            ));
        }
        Ok(items)
    }
}

fn item(line: u64, action: Action<Plain>) -> Item {
    Item {
        line,
        recorded_at: None,
        action,
    }
}

/// Minor units of a decimal such as -12.5, and whether it is below zero.
fn minor(text: &str, asset: &ledger::Asset) -> Result<(bool, Amount), String> {
    let (owes, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all(whole) || !all(part) || (digits.contains('.') && part.is_empty()) {
        return Err(format!(
            "`amount` must be a decimal such as 1234.50 or -7, and is `{text}`"
        ));
    }
    let places = usize::from(asset.exponent);
    if part.len() > places {
        return Err(format!(
            "`amount` has {} decimal places, and {} has {places}",
            part.len(),
            asset.name
        ));
    }
    let digits = format!("{whole}{part:0<places$}");
    let digits = digits.trim_start_matches('0');
    let amount = Amount::parse(if digits.is_empty() { "0" } else { digits });
    Ok((owes, amount.map_err(|error| format!("`amount` {error}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        let usd = ledger::built_in(6)
            .into_iter()
            .find(|asset| asset.name.as_str() == "USD")
            .expect("USD");
        for (text, expected) in [
            ("0", (false, 0)),
            ("12", (false, 1200)),
            ("-12.5", (true, 1250)),
            ("007.05", (false, 705)),
            (
                "1701411834604692317316873037158841057.27",
                (false, i128::MAX as u128),
            ),
        ] {
            let (owes, amount) = minor(text, &usd).expect(text);
            assert_eq!((owes, amount.get()), expected, "{text}");
        }
        for wrong in [
            "",
            "-",
            ".5",
            "5.",
            "1.234",
            "1,5",
            "1e3",
            "+1",
            "--1",
            " 1",
            "٣",
            "0x1",
            "1701411834604692317316873037158841057.28",
        ] {
            assert!(minor(wrong, &usd).is_err(), "{wrong}");
        }
    }
}
