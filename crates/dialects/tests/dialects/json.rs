//! Bodies compared with serde_json's, and decimal text with arithmetic on digits.

use dialects::json::{Json, push_decimal};
use proptest::prelude::*;

fn written(write: impl FnOnce(&mut Json)) -> String {
    let mut body = Json::default();
    write(&mut body);
    String::from_utf8(body.into_bytes()).expect("JSON is UTF-8")
}

fn decimal(minor: i128, places: u8) -> String {
    let mut text = Vec::new();
    push_decimal(&mut text, minor, places);
    String::from_utf8(text).expect("JSON is UTF-8")
}

#[test]
fn decimals() {
    for (minor, places, text) in [
        (0, 0, "0"),
        (0, 2, "0.00"),
        (5, 2, "0.05"),
        (-5, 2, "-0.05"),
        (50, 2, "0.50"),
        (100, 2, "1.00"),
        (-1050, 2, "-10.50"),
        (1234, 0, "1234"),
        (-1234, 0, "-1234"),
        (1234, 3, "1.234"),
        (1234, 4, "0.1234"),
        (1234, 6, "0.001234"),
        (i128::MAX, 0, "170141183460469231731687303715884105727"),
        (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        (i128::MIN, 2, "-1701411834604692317316873037158841057.28"),
        (i128::MIN, 39, "-0.170141183460469231731687303715884105728"),
        (i128::MIN, 40, "-0.0170141183460469231731687303715884105728"),
    ] {
        assert_eq!(decimal(minor, places), text);
    }
    assert_eq!(decimal(1, u8::MAX).len(), "0.".len() + 255);
}

#[test]
fn commas_stand_between_values_only() {
    assert_eq!(written(|body| body.object(|_| {})), "{}");
    assert_eq!(written(|body| body.array(|_| {})), "[]");
    let nested = written(|body| {
        body.object(|body| {
            body.key("").array(|items| {
                items.array(|_| {});
                items.array(|items| items.int(1));
                items.object(|_| {});
                // Text that ends like structure.
                items.string("[");
                items.string("{:");
                items.bool(true);
                items.bool(false);
            });
            body.key(":").string(":");
            body.key("minor").int_string(i64::MIN);
            body.key("major").decimal_string(-1050, 2);
            body.key("number").decimal(5, 2);
        });
    });
    assert_eq!(
        nested,
        r#"{"":[[],[1],{},"[","{:",true,false],":":":","minor":"-9223372036854775808","major":"-10.50","number":0.05}"#
    );
    let read: serde_json::Value = serde_json::from_str(&nested).unwrap();
    assert_eq!(read.as_object().unwrap().len(), 5);
}

#[test]
fn every_character_below_256_is_escaped_as_serde_json_does() {
    for character in (0..=255).map(char::from) {
        let text = format!("a{character}{character}b");
        assert_eq!(
            written(|body| body.string(&text)),
            serde_json::to_string(&text).unwrap()
        );
    }
}

proptest! {
    #[test]
    fn strings(text in any::<String>(), plain in "[ -~]{0,80}", control in "[\\x00-\\x20\"\\\\a]{0,20}") {
        for text in [text, plain, control] {
            let json = written(|body| body.string(&text));
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn integers(signed: i128, unsigned: u128, small: i64) {
        let json = written(|body| body.array(|items| {
            items.int(signed);
            items.int(unsigned);
            items.int(small);
            items.int_string(signed);
            items.int_string(unsigned);
        }));
        let expected = format!("[{signed},{unsigned},{small},\"{signed}\",\"{unsigned}\"]");
        prop_assert_eq!(&json, &expected);
        prop_assert_eq!(serde_json::from_str::<(i128, u128, i64, String, String)>(&json).unwrap().0, signed);
    }

    #[test]
    fn objects(members in prop::collection::btree_map(any::<String>(), any::<i64>(), 0..8)) {
        let json = written(|body| body.object(|body| {
            for (name, value) in &members {
                body.any_key(name).int(*value);
            }
        }));
        prop_assert_eq!(json, serde_json::to_string(&members).unwrap());
    }

    /// Exactly `places` decimals, and without its point the text is the integer again.
    #[test]
    fn decimals_lose_nothing(minor: i128, shift in 0..127_u32, places in 0..=40_u8) {
        let minor = minor >> shift;
        let text = decimal(minor, places);
        let (major, decimals) = text.split_once('.').unwrap_or((&text, ""));
        prop_assert_eq!(decimals.len(), usize::from(places));
        prop_assert_eq!(text.contains('.'), places > 0);
        let unsigned = major.strip_prefix('-').unwrap_or(major);
        prop_assert!(unsigned == "0" || !unsigned.starts_with('0'));
        prop_assert_eq!(major.starts_with('-'), minor < 0);
        prop_assert_eq!(format!("{major}{decimals}").parse::<i128>().unwrap(), minor);
    }
}
