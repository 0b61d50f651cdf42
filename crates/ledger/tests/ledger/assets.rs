//! The assets that every store knows.

use std::collections::HashSet;

use ledger::{Asset, AssetKind, AssetName, AssetNo, STABLECOINS, built_in};

fn find<'a>(assets: &'a [Asset], name: &str) -> Option<&'a Asset> {
    let name = AssetName::parse(name).expect("a name");
    assets.iter().find(|asset| asset.name == name)
}

#[test]
fn currencies_as_in_iso_4217() {
    let assets = built_in(6);
    let table = [
        ("USD", 840, 2),
        ("EUR", 978, 2),
        ("GBP", 826, 2),
        ("CHF", 756, 2),
        ("JPY", 392, 0),
        ("KRW", 410, 0),
        ("CLP", 152, 0),
        ("KWD", 414, 3),
        ("BHD", 48, 3),
        ("TND", 788, 3),
        ("CLF", 990, 4),
        ("UYW", 927, 4),
    ];
    for (name, no, exponent) in table {
        let asset = find(&assets, name).unwrap_or_else(|| panic!("{name} is built in"));
        let seen = (asset.no, asset.exponent, asset.kind);
        assert_eq!(seen, (AssetNo(no), exponent, AssetKind::Fiat), "{name}");
    }
    // Metals, drawing rights, test and no currency: no minor unit, no money.
    for name in ["XAU", "XAG", "XDR", "XTS", "XXX", "XBA"] {
        assert_eq!(find(&assets, name), None, "{name}");
    }
    let fiat = assets.iter().filter(|asset| asset.kind == AssetKind::Fiat);
    assert!(fiat.count() > 150);
}

#[test]
fn the_seven_stablecoins() {
    let assets = built_in(9);
    let table = [
        ("USDC@ethereum", 1000, 6),
        ("USDC@base", 1001, 6),
        ("USDC@polygon", 1002, 6),
        ("USDC@solana", 1003, 6),
        ("USDT@ethereum", 1004, 6),
        ("USDT@tron", 1005, 6),
        ("RLUSD@xrpl", 1006, 9),
    ];
    for (name, no, exponent) in table {
        let asset = find(&assets, name).unwrap_or_else(|| panic!("{name} is built in"));
        let seen = (asset.no, asset.exponent, asset.kind);
        assert_eq!(seen, (AssetNo(no), exponent, AssetKind::Stablecoin), "{name}");
    }
    assert_eq!(STABLECOINS.len(), table.len());
    assert_eq!(find(&assets, "USDC"), None);
}

#[test]
fn numbers_and_names_are_each_ones_own() {
    let assets = built_in(6);
    let numbers: HashSet<_> = assets.iter().map(|asset| asset.no).collect();
    let names: HashSet<_> = assets.iter().map(|asset| asset.name).collect();
    assert_eq!((numbers.len(), names.len()), (assets.len(), assets.len()));
    assert!(assets.iter().all(|asset| asset.no.is_shared()));
    let registered =
        (0..100).flat_map(|nth| [true, false].map(|shared| (shared, AssetNo::registered(shared, nth))));
    let mut seen = numbers;
    for (shared, no) in registered {
        assert_eq!(no.is_shared(), shared);
        assert!(seen.insert(no), "{no:?} is another's");
    }
}
