//! Rates of the sandbox: made up, but near what these currencies cost.

use ledger::{AssetName, Decimal, Micros, Rate};

use super::cast::asset;
use super::story::{DAY, Random};

/// One euro in each currency that the ECB publishes, with four decimals.
const EURO_IN: &[(&str, u128)] = &[
    ("AUD", 17_684),
    ("BGN", 19_558),
    ("BRL", 61_835),
    ("CAD", 16_182),
    ("CHF", 9_284),
    ("CNY", 82_170),
    ("CZK", 242_150),
    ("DKK", 74_682),
    ("GBP", 8_792),
    ("HKD", 89_715),
    ("HUF", 3_845_300),
    ("IDR", 192_940_000),
    ("ILS", 37_610),
    ("INR", 1_025_840),
    ("ISK", 1_466_000),
    ("JPY", 1_764_900),
    ("KRW", 16_851_700),
    ("MXN", 212_538),
    ("MYR", 47_906),
    ("NOK", 117_230),
    ("NZD", 20_431),
    ("PHP", 679_120),
    ("PLN", 42_453),
    ("RON", 50_862),
    ("SEK", 109_675),
    ("SGD", 15_034),
    ("THB", 374_210),
    ("TRY", 486_350),
    ("USD", 11_542),
    ("ZAR", 198_560),
];

/// Currencies that are pegged to the euro.
const PEGGED: [&str; 2] = ["BGN", "DKK"];

/// Stablecoins, on whatever network, are worth a dollar here.
const COINS: [&str; 3] = ["USDC", "USDT", "RLUSD"];

/// How many months of rates there are, so that past valuations have some.
const MONTHS: i64 = 8;

/// Rates a month apart up to `anchor`. Those of `known` assets alone: a currency that was given up is in older lists.
pub(super) fn rates(anchor: Micros, known: &[AssetName]) -> Vec<Rate> {
    let mut random = Random::new(0xecb0_0001);
    let mut rates = Vec::new();
    for month in (0..MONTHS).rev() {
        let as_of = anchor.plus(-30 * month * DAY);
        for (code, digits) in EURO_IN {
            // Up to 1.5 % this way or that; the last ones are as they stand in the table.
            let per_mille = match month == 0 || PEGGED.contains(code) {
                true => 1000,
                false => 985 + u128::from(random.below(31)),
            };
            let rate = Decimal {
                digits: digits * per_mille / 1000,
                scale: 4,
            };
            if known.contains(&asset(code)) {
                rates.push(Rate {
                    base: asset("EUR"),
                    quote: asset(code),
                    rate,
                    as_of,
                    source: "sandbox".into(),
                });
            }
        }
        let one = Decimal { digits: 1, scale: 0 };
        rates.extend(COINS.map(|coin| Rate {
            base: asset(coin),
            quote: asset("USD"),
            rate: one,
            as_of,
            source: "sandbox".into(),
        }));
    }
    rates
}
