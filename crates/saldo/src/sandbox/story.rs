//! What happened in the sandbox: half a year of money moving, the same each time.
//!
//! Every amount is a part of what the paying account has by then, so nothing is refused: the story keeps its own count.

use std::collections::HashMap;

use ledger::{
    AccountId, Amount, AssetName, ClientId, HoldTerms, Micros, Notes, Posting, Postings, TransactionId,
};
use service::PostTransaction;

use super::cast::{PEOPLE, ROOT_FUNDS, SUBSIDIARY_FUNDS, asset};

/// Microseconds of a day, of an hour, and of a minute.
pub(super) const DAY: i64 = 24 * HOUR;
const HOUR: i64 = 60 * MINUTE;
const MINUTE: i64 = 60_000_000;

/// The first day of the story, before the day that the sandbox was made.
const FIRST_DAY: i64 = -180;

/// The accounts that the story moves money between.
pub(super) struct Accounts {
    pub(super) external: AccountId,
    pub(super) fees: AccountId,
    pub(super) revenue: AccountId,
    pub(super) root: AccountId,
    pub(super) subsidiary: AccountId,
    /// In the order of [`PEOPLE`].
    pub(super) mains: Vec<AccountId>,
    pub(super) receivable: AccountId,
    pub(super) credit: AccountId,
    pub(super) card: AccountId,
}

/// The transactions of half a year up to `anchor`, in the order of their effective times. Their ids follow from the
/// root client's, so that a story that was told before is told with the same ones.
pub(super) fn tell(accounts: &Accounts, root: ClientId, anchor: Micros) -> Vec<PostTransaction> {
    let mut story = Story {
        accounts,
        root,
        anchor,
        random: Random::new(0x5a1d_0001),
        told: Vec::new(),
        money: HashMap::new(),
    };
    story.opening();
    for day in FIRST_DAY + 1..0 {
        story.membership(day);
        story.card(day);
        for nth in 0..2 {
            let minute = 9 * 60 + nth * 240 + i64::from(story.random.below(220) as u32);
            story.business(day, minute);
        }
    }
    story.authorisations();
    story.told
}

struct Story<'a> {
    accounts: &'a Accounts,
    root: ClientId,
    anchor: Micros,
    random: Random,
    told: Vec<PostTransaction>,
    /// What each account has by now, in minor units; the world outside has no end.
    money: HashMap<(AccountId, AssetName), u64>,
}

impl Story<'_> {
    /// Everybody's first money.
    fn opening(&mut self) {
        let Accounts { root, subsidiary, .. } = *self.accounts;
        let funds = [(root, ROOT_FUNDS), (subsidiary, SUBSIDIARY_FUNDS)];
        let people = self
            .accounts
            .mains
            .clone()
            .into_iter()
            .zip(PEOPLE.iter().map(|person| person.holds));
        for (minute, (account, holds)) in (0..).zip(funds.into_iter().chain(people)) {
            for (name, amount) in holds {
                self.pay(
                    FIRST_DAY,
                    8 * 60 + minute,
                    self.accounts.external,
                    account,
                    asset(name),
                    *amount,
                    "opening",
                );
            }
        }
    }

    /// An ordinary movement of somebody's money.
    fn business(&mut self, day: i64, minute: i64) {
        let who = self.random.below(PEOPLE.len() as u64) as usize;
        let (person, main) = (&PEOPLE[who], self.accounts.mains[who]);
        let Accounts {
            external, fees, root, ..
        } = *self.accounts;
        let (name, income) = match self.random.below(3) {
            0 => person.holds[self.random.below(person.holds.len() as u64) as usize],
            _ => person.holds[0],
        };
        let asset = asset(name);
        let has = self.has(main, asset);
        let number = self.told.len();
        match self.random.below(10) {
            0..4 => {
                let amount = income / 100 * (20 + self.random.below(60));
                self.pay(
                    day,
                    minute,
                    external,
                    main,
                    asset,
                    amount,
                    &format!("INV-{number:05}"),
                );
                let fee = amount / 400;
                self.pay(
                    day,
                    minute + 1,
                    main,
                    fees,
                    asset,
                    fee,
                    &format!("FEE-{number:05}"),
                );
            }
            4..8 => {
                let amount = has / 1000 * (15 + self.random.below(110));
                self.pay(
                    day,
                    minute,
                    main,
                    external,
                    asset,
                    amount,
                    &format!("PAYOUT-{number:05}"),
                );
            }
            8 => {
                // The next one who deals in it too, else the house.
                let mut others = (1..PEOPLE.len()).map(|further| (who + further) % PEOPLE.len());
                let deals = |other: &usize| PEOPLE[*other].holds.iter().any(|(also, _)| *also == name);
                let other = others
                    .find(deals)
                    .map_or(root, |other| self.accounts.mains[other]);
                let amount = has / 1000 * (10 + self.random.below(50));
                self.pay(
                    day,
                    minute,
                    main,
                    other,
                    asset,
                    amount,
                    &format!("TRF-{number:05}"),
                );
            }
            _ => {
                let amount = has / 1000 * (2 + self.random.below(8));
                self.pay(
                    day,
                    minute,
                    main,
                    root,
                    asset,
                    amount,
                    &format!("SETTLE-{number:05}"),
                );
            }
        }
    }

    /// The gym member: a fee every thirty days, the last two unpaid, one reminder; and a prepaid drinks card.
    fn membership(&mut self, day: i64) {
        let euro = asset("EUR");
        let Accounts {
            external,
            receivable,
            credit,
            revenue,
            ..
        } = *self.accounts;
        match day {
            -170 | -140 | -110 | -80 | -50 | -20 => {
                self.pay(day, 6 * 60, receivable, revenue, euro, 4_990, "MEMBERSHIP-1002");
            }
            -166 | -137 | -107 | -76 => {
                self.pay(day, 7 * 60, external, receivable, euro, 4_990, "SEPA-1002");
            }
            -13 => self.pay(day, 6 * 60, receivable, revenue, euro, 500, "DUNNING-1002-1"),
            -64 => self.pay(day, 7 * 60, external, credit, euro, 6_000, "TOPUP-1002"),
            -57 | -41 | -22 => self.pay(day, 7 * 60, credit, revenue, euro, 450, "DRINKS-1002"),
            _ => {}
        }
    }

    /// The card: loaded twice, used every few days.
    fn card(&mut self, day: i64) {
        let dollar = asset("USD");
        let Accounts {
            external, root, card, ..
        } = *self.accounts;
        match day {
            -90 | -40 => self.pay(day, 5 * 60, root, card, dollar, 250_000, "CARD-LOAD"),
            -88..=-3 if day % 4 == 0 => {
                let amount = 1_250 + self.random.below(17_500);
                self.pay(day, 8 * 60, card, external, dollar, amount, "CARD-PURCHASE");
            }
            _ => {}
        }
    }

    /// What was authorised on the card and not captured yet.
    fn authorisations(&mut self) {
        let Accounts { external, card, .. } = *self.accounts;
        let open = [
            ("HOTEL", 42_000, None),
            ("FUEL", 12_500, Some(7 * DAY)),
            ("RAILWAY", 3_620, None),
        ];
        for (shop, amount, lasts) in open {
            self.pay(
                0,
                0,
                card,
                external,
                asset("USD"),
                amount,
                &format!("CARD-AUTH-{shop}"),
            );
            if let Some(told) = self.told.last_mut() {
                told.effective_at = None;
                told.hold = Some(HoldTerms {
                    expires_at: lasts.map(|lasts| self.anchor.plus(lasts)),
                });
            }
        }
    }

    fn has(&self, account: AccountId, asset: AssetName) -> u64 {
        self.money.get(&(account, asset)).copied().unwrap_or(0)
    }

    /// Tells of a payment. What is too little to move, or not there, is left untold.
    #[allow(
        clippy::too_many_arguments,
        reason = "a payment has a when, a whence, a whither and a what"
    )]
    fn pay(
        &mut self,
        day: i64,
        minute: i64,
        from: AccountId,
        to: AccountId,
        asset: AssetName,
        amount: u64,
        reference: &str,
    ) {
        let Accounts {
            external, receivable, ..
        } = *self.accounts;
        let endless = from == external || from == receivable;
        if amount == 0 || !endless && self.has(from, asset) < amount {
            return;
        }
        if !endless {
            *self.money.entry((from, asset)).or_default() -= amount;
        }
        *self.money.entry((to, asset)).or_default() += amount;
        let Some(amount) = Amount::new(amount.into()) else {
            return;
        };
        let midnight = self.anchor.0.div_euclid(DAY) * DAY;
        self.told.push(PostTransaction {
            id: Some(TransactionId(
                self.root.0.wrapping_add(1 + self.told.len() as u128),
            )),
            postings: Postings::from_buf([Posting {
                from,
                to,
                asset,
                amount,
            }]),
            reference: Some(reference.to_owned()),
            effective_at: Some(Micros(midnight + day * DAY + minute * MINUTE)),
            hold: None,
            force: false,
            notes: Notes::default(),
        });
    }
}

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`. The tiny bias does not matter here.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
