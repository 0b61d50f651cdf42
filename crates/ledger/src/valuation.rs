//! Valuation: what amounts in several assets are worth in one, exactly, rounded once at the end.
//!
//! A rate is taken directly, else inverted, else through EUR, else through USD, else through both. All arithmetic is on
//! whole numbers of any size; the result is rounded half to even at the target's last place.

use num_bigint::{BigInt, Sign};

use crate::asset::AssetName;
use crate::register::Decimal;

/// An amount to be valued: an asset's name, its decimal places, and how many minor units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The asset.
    pub asset: AssetName,
    /// Its decimal places.
    pub exponent: u8,
    /// Minor units.
    pub amount: i128,
}

/// Why amounts could not be valued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValuationError {
    /// No path of rates leads from this asset to the target.
    NoRate(AssetName),
    /// The value is beyond ±(2¹²⁷ − 1) minor units of the target.
    Overflow,
}

/// An exact positive fraction.
#[derive(Clone)]
struct Fraction {
    over: BigInt,
    under: BigInt,
}

impl Fraction {
    fn one() -> Self {
        Self {
            over: BigInt::from(1),
            under: BigInt::from(1),
        }
    }

    fn of(rate: Decimal) -> Self {
        Self {
            over: BigInt::from(rate.digits),
            under: power_of_ten(rate.scale),
        }
    }

    fn inverse(self) -> Self {
        Self {
            over: self.under,
            under: self.over,
        }
    }

    fn times(self, other: Self) -> Self {
        Self {
            over: self.over * other.over,
            under: self.under * other.under,
        }
    }
}

fn power_of_ten(exponent: u8) -> BigInt {
    BigInt::from(10).pow(u32::from(exponent))
}

/// The names under which an asset is priced: as it is written, then, for one on a network, by its code alone.
fn priced_as(name: &AssetName) -> impl Iterator<Item = AssetName> + Clone {
    let alone = name.network().and_then(|_| AssetName::new(name.code(), None));
    std::iter::once(*name).chain(alone)
}

fn pivot(code: &str) -> AssetName {
    AssetName::new(code, None).expect("EUR and USD are asset codes")
}

/// The chains of assets that may lead from one to another, the preferred first: straight, through EUR, through USD,
/// through EUR then USD, through USD then EUR.
fn chains(from: &AssetName, to: &AssetName) -> [Vec<AssetName>; 5] {
    let (eur, usd) = (pivot("EUR"), pivot("USD"));
    let via = |middle: &[AssetName]| {
        std::iter::once(*from)
            .chain(middle.iter().copied())
            .chain([*to])
            .collect()
    };
    [
        via(&[]),
        via(&[eur]),
        via(&[usd]),
        via(&[eur, usd]),
        via(&[usd, eur]),
    ]
}

/// The pairs (base, quote) whose rates may matter for valuing `from` in `to`; none for an asset in itself.
#[must_use]
pub fn rate_pairs(from: &AssetName, to: &AssetName) -> Vec<(AssetName, AssetName)> {
    let mut pairs = Vec::new();
    if from == to {
        return pairs;
    }
    for chain in chains(from, to) {
        for leg in chain.windows(2) {
            for base in priced_as(&leg[0]) {
                for quote in priced_as(&leg[1]) {
                    pairs.extend([(base, quote), (quote, base)]);
                }
            }
        }
    }
    pairs.retain(|(base, quote)| base != quote);
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The rate of one leg: direct, else inverse, under any of the names.
fn leg(
    from: &AssetName,
    to: &AssetName,
    rate: &impl Fn(&AssetName, &AssetName) -> Option<Decimal>,
) -> Option<Fraction> {
    let same = priced_as(from).any(|from| priced_as(to).any(|to| from == to));
    if same && (from == to || from.network().is_none() || to.network().is_none()) {
        return Some(Fraction::one());
    }
    let names = || priced_as(from).flat_map(|from| priced_as(to).map(move |to| (from, to)));
    let direct = names().find_map(|(from, to)| rate(&from, &to)).map(Fraction::of);
    direct.or_else(|| {
        names()
            .find_map(|(from, to)| rate(&to, &from))
            .map(|rate| Fraction::of(rate).inverse())
    })
}

fn fraction(
    from: &AssetName,
    to: &AssetName,
    rate: &impl Fn(&AssetName, &AssetName) -> Option<Decimal>,
) -> Option<Fraction> {
    if from == to {
        return Some(Fraction::one());
    }
    chains(from, to).iter().find_map(|chain| {
        chain.windows(2).try_fold(Fraction::one(), |product, pair| {
            Some(product.times(leg(&pair[0], &pair[1], rate)?))
        })
    })
}

/// The value of `parts` in `target`, in minor units of its `exponent` places. `rate` gives the price of one base in the
/// quote; it is asked for the pairs of [`rate_pairs`]. Nothing of an asset needs no rate.
///
/// # Errors
/// [`ValuationError::NoRate`] for the first part with an amount that can't be valued, [`ValuationError::Overflow`].
pub fn convert(
    parts: &[Part],
    target: &AssetName,
    exponent: u8,
    rate: impl Fn(&AssetName, &AssetName) -> Option<Decimal>,
) -> Result<i128, ValuationError> {
    let held = parts.iter().filter(|part| part.amount != 0);
    let value = match sum_of_own(held.clone(), target, exponent) {
        Some(sum) => Some(sum),
        None => i128::try_from(round_half_even(&sum(held, target, exponent, rate)?)).ok(),
    };
    value
        .filter(|value| *value != i128::MIN)
        .ok_or(ValuationError::Overflow)
}

/// What is held in the target's own minor units, where that is all and its sums fit: no fraction is needed then.
fn sum_of_own<'a>(
    mut held: impl Iterator<Item = &'a Part>,
    target: &AssetName,
    exponent: u8,
) -> Option<i128> {
    held.try_fold(0_i128, |sum, part| {
        let own = part.asset == *target && part.exponent == exponent;
        sum.checked_add(part.amount).filter(|_| own)
    })
}

/// What is held in whatever asset.
fn sum<'a>(
    held: impl Iterator<Item = &'a Part>,
    target: &AssetName,
    exponent: u8,
    rate: impl Fn(&AssetName, &AssetName) -> Option<Decimal>,
) -> Result<Fraction, ValuationError> {
    let mut sum = Fraction {
        over: BigInt::from(0),
        under: BigInt::from(1),
    };
    for part in held {
        let price = fraction(&part.asset, target, &rate).ok_or(ValuationError::NoRate(part.asset))?;
        let value = Fraction {
            over: BigInt::from(part.amount) * price.over * power_of_ten(exponent),
            under: price.under * power_of_ten(part.exponent),
        };
        sum = Fraction {
            over: sum.over * &value.under + value.over * &sum.under,
            under: sum.under * value.under,
        };
    }
    Ok(sum)
}

/// The nearest whole number; of two equally near ones the even one.
fn round_half_even(value: &Fraction) -> BigInt {
    let (sign, size) = value.over.clone().into_parts();
    let under = value.under.magnitude();
    let whole = &size / under;
    let twice = (&size % under) * 2u8;
    let up = match twice.cmp(under) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole.bit(0),
        std::cmp::Ordering::Greater => true,
    };
    let sign = if sign == Sign::NoSign { Sign::Plus } else { sign };
    BigInt::from_biguint(sign, whole + u8::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AssetName {
        AssetName::parse(text).unwrap()
    }

    /// Rates as `BASE/QUOTE=1.0832`, amounts as `USDC@base:6=1500000`, separated by spaces.
    fn check(rates: &str, parts: &str, target: &str, exponent: u8) -> Result<i128, ValuationError> {
        let rates: Vec<_> = rates
            .split_whitespace()
            .map(|rate| {
                let (pair, value) = rate.split_once('=').unwrap();
                let (base, quote) = pair.split_once('/').unwrap();
                let scale = value.split_once('.').map_or(0, |(_, places)| places.len());
                let digits = value.replace('.', "").parse().unwrap();
                (
                    name(base),
                    name(quote),
                    Decimal {
                        digits,
                        scale: scale as u8,
                    },
                )
            })
            .collect();
        let parts: Vec<_> = parts
            .split_whitespace()
            .map(|part| {
                let (asset, amount) = part.split_once('=').unwrap();
                let (asset, exponent) = asset.split_once(':').unwrap();
                Part {
                    asset: name(asset),
                    exponent: exponent.parse().unwrap(),
                    amount: amount.parse().unwrap(),
                }
            })
            .collect();
        let allowed: Vec<_> = parts
            .iter()
            .flat_map(|part| rate_pairs(&part.asset, &name(target)))
            .collect();
        convert(&parts, &name(target), exponent, |base, quote| {
            assert!(
                allowed.contains(&(*base, *quote)),
                "{base}/{quote} is not among the pairs"
            );
            rates
                .iter()
                .find(|(b, q, _)| (b, q) == (base, quote))
                .map(|(_, _, rate)| *rate)
        })
    }

    #[test]
    fn paths_in_their_order() {
        assert_eq!(check("", "USD:2=1050", "USD", 2), Ok(1050));
        assert_eq!(check("EUR/USD=1.25", "EUR:2=1000", "USD", 2), Ok(1250));
        assert_eq!(check("EUR/USD=1.25", "USD:2=1250", "EUR", 2), Ok(1000));
        // Direct goes before inverse, and both before EUR.
        assert_eq!(
            check("GBP/JPY=200 JPY/GBP=1 EUR/GBP=1 EUR/JPY=7", "GBP:2=100", "JPY", 0),
            Ok(200)
        );
        assert_eq!(check("EUR/GBP=0.5 EUR/JPY=150", "GBP:2=100", "JPY", 0), Ok(300));
        // EUR goes before USD.
        assert_eq!(
            check(
                "EUR/GBP=0.5 EUR/JPY=150 USD/GBP=1 USD/JPY=1",
                "GBP:2=100",
                "JPY",
                0
            ),
            Ok(300)
        );
        assert_eq!(check("USD/GBP=0.8 USD/JPY=160", "GBP:2=100", "JPY", 0), Ok(200));
        assert_eq!(
            check(
                "USDC/USD=1 EUR/USD=1.25 EUR/CHF=1",
                "USDC@base:6=1250000",
                "CHF",
                2
            ),
            Ok(100)
        );
        assert_eq!(
            check("", "GBP:2=1", "JPY", 0),
            Err(ValuationError::NoRate(name("GBP")))
        );
        assert_eq!(check("", "GBP:2=0 USD:2=7", "USD", 2), Ok(7));
    }

    #[test]
    fn a_price_for_a_network_goes_before_one_for_the_code() {
        let rates = "USDC@base/USD=0.99 USDC/USD=1";
        assert_eq!(
            check(rates, "USDC@base:6=1000000 USDC@tron:6=1000000", "USD", 2),
            Ok(199)
        );
    }

    #[test]
    fn rounds_half_to_even_once() {
        for (amount, rounded) in [(5, 0), (15, 2), (25, 2), (-5, 0), (-15, -2), (-25, -2), (26, 3)] {
            assert_eq!(check("", &format!("USD:3={amount}"), "USD", 2), Ok(rounded));
        }
        assert_eq!(check("", "USD:2=7 USD:3=30", "USD", 2), Ok(10));
        // Two halves make a whole when rounding comes last.
        assert_eq!(check("EUR/USD=0.5", "EUR:2=1 USD:3=5", "USD", 2), Ok(1));
    }

    #[test]
    fn beyond_every_counter() {
        let most = i128::MAX;
        assert_eq!(check("", &format!("USD:2={most}"), "USD", 2), Ok(most));
        assert_eq!(
            check("", &format!("USD:2={most} USD:2=1"), "USD", 2),
            Err(ValuationError::Overflow)
        );
        // A sum on the way may be beyond it, where the whole is not.
        let parts = format!("USD:2={most} USD:2=3 USD:2=-4");
        assert_eq!(check("", &parts, "USD", 2), Ok(most - 1));
        let parts = format!("USD:2=-{most} USD:2=-1");
        assert_eq!(check("", &parts, "USD", 2), Err(ValuationError::Overflow));
        let rate = "EUR/USD=999999999999999999.999999999999999999";
        assert_eq!(
            check(rate, &format!("EUR:2={most}"), "USD", 2),
            Err(ValuationError::Overflow)
        );
    }
}
