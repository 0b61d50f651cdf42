//! Amounts and names as text.

use ledger::{AccountId, Amount, AmountError, AssetName, Code};
use proptest::prelude::*;

#[test]
fn amounts_are_canonical_digits() {
    use AmountError::{LeadingZero, NotDigits, TooLarge};
    let max = "170141183460469231731687303715884105727";
    let table: &[(&str, Result<u128, AmountError>)] = &[
        ("0", Ok(0)),
        ("1", Ok(1)),
        ("1050", Ok(1050)),
        ("18446744073709551615", Ok(u64::MAX.into())),
        ("18446744073709551616", Ok(1 << 64)),
        (max, Ok(i128::MAX as u128)),
        ("170141183460469231731687303715884105728", Err(TooLarge)),
        ("340282366920938463463374607431768211456", Err(TooLarge)),
        ("9999999999999999999999999999999999999999", Err(TooLarge)),
        ("", Err(NotDigits)),
        (" 1", Err(NotDigits)),
        ("1 ", Err(NotDigits)),
        ("-1", Err(NotDigits)),
        ("+1", Err(NotDigits)),
        ("1.0", Err(NotDigits)),
        ("1,000", Err(NotDigits)),
        ("1_000", Err(NotDigits)),
        ("1e5", Err(NotDigits)),
        ("0x10", Err(NotDigits)),
        ("\u{0661}", Err(NotDigits)),
        ("01", Err(LeadingZero)),
        ("00", Err(LeadingZero)),
    ];
    for (text, expected) in table {
        assert_eq!(Amount::parse(text).map(Amount::get), *expected, "{text:?}");
    }
    assert_eq!(Amount::new(1 << 127), None);
    assert_eq!(Amount::MAX.to_string(), max);
    assert_eq!(Amount::MAX.checked_add(Amount::MAX), None);
}

#[test]
fn asset_names() {
    let good = [
        ("USD", "USD", None),
        ("USDC@ethereum", "USDC", Some("ethereum")),
        ("A", "A", None),
        ("A1._-", "A1._-", None),
        (
            "ABCDEFGHIJKLMNOP@abcdefghijklmno1",
            "ABCDEFGHIJKLMNOP",
            Some("abcdefghijklmno1"),
        ),
        ("X@-", "X", Some("-")),
    ];
    for (text, code, network) in good {
        let name = AssetName::parse(text).unwrap_or_else(|| panic!("{text:?} is a name"));
        assert_eq!(
            (name.as_str(), name.code(), name.network()),
            (text, code, network)
        );
        assert_eq!(AssetName::new(code, network), Some(name));
    }
    let bad = [
        "",
        "@",
        "USD@",
        "@base",
        "usd",
        "Usd",
        "1USD",
        ".A",
        "US D",
        "USD ",
        " USD",
        "USD@Base",
        "USD@base@base",
        "USD@ba.se",
        "ABCDEFGHIJKLMNOPQ",
        "USD@abcdefghijklmnopq",
        "US\u{c4}",
        "USD\0",
        "USD@b\u{e4}se",
        "USD/EUR",
    ];
    for text in bad {
        assert_eq!(AssetName::parse(text), None, "{text:?}");
    }
}

#[test]
fn codes_are_closed_and_tell_the_cure() {
    for (nth, code) in Code::ALL.iter().enumerate() {
        assert_eq!(Code::from_number(*code as u8), Some(*code));
        assert!(code.cure().ends_with('.'), "{code}");
        assert!(
            Code::ALL[..nth]
                .iter()
                .all(|other| other < code && other.as_str() != code.as_str())
        );
    }
    assert_eq!(Code::from_number(0), None);
}

#[test]
fn ids_are_written_as_uuids() {
    let id = AccountId(0x0191_e3a2_7b4c_7def_8123_4567_89ab_cdef);
    assert_eq!(id.to_string(), "0191e3a2-7b4c-7def-8123-456789abcdef");
    assert_eq!(AccountId::from_bytes(id.to_bytes()), id);
    assert_eq!(
        AccountId(u128::MAX).to_string(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff"
    );
}

proptest! {
    #[test]
    fn an_amount_is_read_as_it_was_written(number in 0..=Amount::MAX.get()) {
        let amount = Amount::new(number).expect("in range");
        prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        prop_assert_eq!(amount.signed().to_string(), amount.to_string());
    }

    #[test]
    fn what_is_read_as_an_amount_is_written_so(text in "[0-9 .+e-]{0,42}") {
        if let Ok(amount) = Amount::parse(&text) {
            prop_assert_eq!(amount.to_string(), text);
        }
    }

    #[test]
    fn what_is_read_as_a_name_is_written_so(text in "[A-Ca-c0-1@. _-]{0,36}") {
        if let Some(name) = AssetName::parse(&text) {
            prop_assert_eq!(name.as_str(), &*text);
            prop_assert_eq!(AssetName::new(name.code(), name.network()), Some(name));
        }
    }
}
