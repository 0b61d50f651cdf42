//! Every id has one spelling in each form, and every other text is refused for the right reason.

use dialects::spelling::{
    Prefix, Spelled, SpellingError, parse_any, parse_ksuid, parse_typeid, parse_uuid, typeid, uuid,
};
use proptest::prelude::*;
use svix_ksuid::Ksuid;
use type_safe_id::{DynamicType, TypeSafeId};

const EXAMPLE: u128 = 0x0190163d_8694_739b_aea5_966c26f8ad90;

fn ksuid(prefix: Prefix, id: u128) -> Spelled {
    dialects::spelling::ksuid(prefix, id)
}

/// The example with these 48 bits of milliseconds.
fn id_at(milliseconds: u64) -> u128 {
    u128::from(milliseconds) << 80 | EXAMPLE & ((1 << 80) - 1)
}

/// A KSUID that other software wrote: a time, wrong or right, and 16 bytes.
fn foreign_ksuid(time: u32, id: u128) -> String {
    format!("cus_{}", Ksuid::new_raw(time, Some(&id.to_be_bytes())))
}

/// What the vendor's `^cus_[a-zA-Z0-9]{27}$` says.
fn matches_vendor_pattern(text: &str) -> bool {
    text.strip_prefix("cus_")
        .is_some_and(|digits| digits.len() == 27 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[test]
fn examples() {
    assert_eq!(&*uuid(EXAMPLE), "0190163d-8694-739b-aea5-966c26f8ad90");
    assert_eq!(&*typeid(EXAMPLE), "cst_01j0b3v1mmeedtx9cpdgkfhbcg");
    assert_eq!(
        &*ksuid(Prefix::Customer, EXAMPLE),
        "cus_2hrlP1toXExgz2BXxEQWaa6x3hI"
    );
    assert_eq!(
        format!("{:?}", uuid(0)),
        "\"00000000-0000-0000-0000-000000000000\""
    );
    assert_eq!(format!("{:>32}|", typeid(0)), "  cst_00000000000000000000000000|");
}

#[test]
fn ksuids_of_ids_outside_the_vendors_time_wrap_around() {
    let last_second = 1_400_000_000 + u64::from(u32::MAX);
    for (milliseconds, time) in [
        (0, 0_u32.wrapping_sub(1_400_000_000)),
        (1_399_999_999_999, u32::MAX),
        (1_400_000_000_000, 0),
        (1_400_000_000_999, 0),
        (1_400_000_001_000, 1),
        (last_second * 1000 + 999, u32::MAX),
        (last_second * 1000 + 1000, 0),
    ] {
        let id = id_at(milliseconds);
        let spelled = ksuid(Prefix::Customer, id);
        // The oracle writes leading zero bytes too, so it covers a time of zero.
        assert_eq!(&*spelled, foreign_ksuid(time, id), "{milliseconds} ms");
        assert_eq!(
            parse_ksuid(Prefix::Customer, &spelled),
            Ok(id),
            "{milliseconds} ms"
        );
    }
}

#[test]
fn the_greatest_ksuid_and_what_lies_beyond() {
    // 2^160 - 1, 2^160 and 62^27 - 1.
    for digits in [
        "aWgEPTl1tmebfsQzFP4bxwgy80V",
        "aWgEPTl1tmebfsQzFP4bxwgy80W",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        let text = format!("cus_{digits}");
        assert_eq!(
            parse_ksuid(Prefix::Customer, &text),
            Err(SpellingError::NamesNothing),
            "{text}"
        );
        assert_eq!(parse_any(&text), None, "{text}");
    }
}

/// The sum of two numbers of 27 digits in base 62.
fn add(left: &str, right: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let value = |digit: u8| DIGITS.iter().position(|&other| other == digit).expect("a digit");
    let mut sum = Vec::new();
    let mut carry = 0;
    for (left, right) in left.bytes().zip(right.bytes()).rev() {
        let total = value(left) + value(right) + carry;
        sum.push(char::from(DIGITS[total % 62]));
        carry = total / 62;
    }
    assert_eq!(carry, 0, "the sum has 28 digits");
    sum.iter().rev().collect()
}

/// 62^27 exceeds 2^160, so a reader that dropped the carry would give an id two spellings.
#[test]
fn an_id_plus_2_to_the_160_is_no_second_spelling() {
    let spelled = ksuid(Prefix::Customer, EXAMPLE);
    let beyond = add(&spelled["cus_".len()..], "aWgEPTl1tmebfsQzFP4bxwgy80W");
    assert_eq!(
        parse_ksuid(Prefix::Customer, &format!("cus_{beyond}")),
        Err(SpellingError::NamesNothing)
    );
}

#[test]
fn ksuid_prefixes_are_not_interchangeable() {
    for written in Prefix::ALL {
        for expected in Prefix::ALL {
            let read = parse_ksuid(expected, &ksuid(written, EXAMPLE));
            let right = if written == expected {
                Ok(EXAMPLE)
            } else {
                Err(SpellingError::Malformed)
            };
            assert_eq!(read, right, "{written:?} read as {expected:?}");
        }
    }
}

#[test]
fn other_forms_of_a_uuid_are_malformed() {
    let simple = "0190163d8694739baea5966c26f8ad90";
    for text in [
        simple.to_owned(),
        format!("{{{}}}", uuid(EXAMPLE)),
        format!("urn:uuid:{}", uuid(EXAMPLE)),
        // As long as the hyphenated form.
        format!("{{{simple}}}  "),
        "0190163-d8694-739b-aea5-966c26f8ad90".to_owned(),
        "0190163d-8694-739b-aea5-966c26f8ad9-".to_owned(),
        "+190163d-8694-739b-aea5-966c26f8ad90".to_owned(),
        "0190163d_8694_739b_aea5_966c26f8ad90".to_owned(),
        "0190163d-8694-739b-aea5-966c26f8ad9\u{e9}".to_owned(),
        String::new(),
    ] {
        assert_eq!(parse_uuid(&text), Err(SpellingError::Malformed), "{text}");
        assert_eq!(parse_any(&text), None, "{text}");
    }
}

/// The valid and invalid vectors of the TypeID specification 0.3 under our prefix.
#[test]
fn vectors_of_the_typeid_specification() {
    for (digits, id) in [
        (
            "00000000000000000000000000",
            "00000000-0000-0000-0000-000000000000",
        ),
        (
            "00000000000000000000000001",
            "00000000-0000-0000-0000-000000000001",
        ),
        (
            "0000000000000000000000000a",
            "00000000-0000-0000-0000-00000000000a",
        ),
        (
            "0000000000000000000000000g",
            "00000000-0000-0000-0000-000000000010",
        ),
        (
            "00000000000000000000000010",
            "00000000-0000-0000-0000-000000000020",
        ),
        (
            "7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ),
        (
            "0123456789abcdefghjkmnpqrs",
            "0110c853-1d09-52d8-d73e-1194e95b5f19",
        ),
        (
            "01h455vb4pex5vsknk084sn02q",
            "01890a5d-ac96-774b-bcce-b302099a8057",
        ),
    ] {
        let text = format!("cst_{digits}");
        let id = parse_uuid(id).unwrap();
        assert_eq!(parse_typeid(&text), Ok(id));
        assert_eq!(&*typeid(id), text);
    }
    for text in [
        "CST_00000000000000000000000000",
        "12345_00000000000000000000000000",
        "  cst_00000000000000000000000000",
        "c\u{e9}st_00000000000000000000000000",
        "c.st_00000000000000000000000000",
        "_00000000000000000000000000",
        "_",
        "_cst_00000000000000000000000000",
        "cst__00000000000000000000000000",
        "cst_",
        "00000000000000000000000000",
        "cst_1234567890123456789012345",
        "cst_123456789012345678901234567",
        "cst_1234567890123456789012345 ",
        "cst_0123456789ABCDEFGHJKMNPQRS",
        "cst_123456789-123456789-123456",
        "cst_ooooooiiiiiiuuuuuuulllllll",
        "cst_i23456789ol23456789oi23456",
        "cst_123456789-0123456789-0123456",
        "cst_8zzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        assert_eq!(parse_typeid(text), Err(SpellingError::Malformed), "{text}");
        assert_eq!(parse_any(text), None, "{text}");
    }
}

/// Each byte in each place: the vendor's pattern alone decides whether a changed KSUID is malformed.
#[test]
fn one_wrong_byte_anywhere() {
    let (ksuid, typeid, uuid) = (ksuid(Prefix::Customer, EXAMPLE), typeid(EXAMPLE), uuid(EXAMPLE));
    for byte in 0..128_u8 {
        let replace = |spelled: &Spelled, at: usize| {
            let mut bytes = spelled.as_bytes().to_vec();
            bytes[at] = byte;
            String::from_utf8(bytes).unwrap()
        };
        for at in 0..ksuid.len() {
            let text = replace(&ksuid, at);
            match parse_ksuid(Prefix::Customer, &text) {
                Ok(id) => assert_eq!(&*dialects::spelling::ksuid(Prefix::Customer, id), text),
                Err(SpellingError::Malformed) => assert!(!matches_vendor_pattern(&text), "{text}"),
                Err(SpellingError::NamesNothing) => assert!(matches_vendor_pattern(&text), "{text}"),
            }
        }
        for at in 0..typeid.len() {
            let text = replace(&typeid, at);
            match parse_typeid(&text) {
                Ok(id) => assert_eq!(&*dialects::spelling::typeid(id), text),
                Err(error) => assert_eq!(error, SpellingError::Malformed),
            }
        }
        for at in 0..uuid.len() {
            let text = replace(&uuid, at);
            match parse_uuid(&text) {
                Ok(id) => assert_eq!(&*dialects::spelling::uuid(id), text.to_lowercase()),
                Err(error) => assert_eq!(error, SpellingError::Malformed),
            }
        }
    }
}

#[test]
fn one_byte_too_many_or_too_few() {
    for spelled in [uuid(EXAMPLE), typeid(EXAMPLE), ksuid(Prefix::Customer, EXAMPLE)] {
        for text in [
            spelled[1..].to_owned(),
            spelled[..spelled.len() - 1].to_owned(),
            format!("{spelled}0"),
            format!("0{spelled}"),
            format!("{spelled}\n"),
            format!("\n{spelled}"),
            format!("{spelled} "),
            format!(" {spelled}"),
            format!("{spelled}\0"),
            format!("{spelled}\u{661}"),
        ] {
            assert_eq!(parse_uuid(&text), Err(SpellingError::Malformed), "{text:?}");
            assert_eq!(parse_typeid(&text), Err(SpellingError::Malformed), "{text:?}");
            assert_eq!(
                parse_ksuid(Prefix::Customer, &text),
                Err(SpellingError::Malformed),
                "{text:?}"
            );
            assert_eq!(parse_any(&text), None, "{text:?}");
        }
    }
}

#[test]
fn upper_case_is_another_ksuid_and_no_typeid() {
    let lower = foreign_ksuid(1, EXAMPLE);
    assert_eq!(
        parse_ksuid(Prefix::Customer, &lower.to_uppercase()),
        Err(SpellingError::Malformed)
    );
    assert_eq!(
        parse_typeid(&typeid(EXAMPLE).to_uppercase()),
        Err(SpellingError::Malformed)
    );
    assert_eq!(parse_uuid(&uuid(EXAMPLE).to_uppercase()), Ok(EXAMPLE));
}

proptest! {
    #[test]
    fn every_id_round_trips(id: u128) {
        prop_assert_eq!(parse_uuid(&uuid(id)), Ok(id));
        prop_assert_eq!(parse_uuid(&uuid(id).to_uppercase()), Ok(id));
        prop_assert_eq!(parse_typeid(&typeid(id)), Ok(id));
        prop_assert_eq!(parse_any(&uuid(id)), Some(id));
        prop_assert_eq!(parse_any(&typeid(id)), Some(id));
        for prefix in Prefix::ALL {
            let spelled = ksuid(prefix, id);
            prop_assert_eq!(parse_ksuid(prefix, &spelled), Ok(id));
            prop_assert_eq!(parse_any(&spelled), Some(id));
        }
    }

    #[test]
    fn ids_are_written_as_other_software_writes_them(id: u128) {
        let time = ((id >> 80) / 1000).wrapping_sub(1_400_000_000) as u32;
        prop_assert_eq!(&*ksuid(Prefix::Customer, id), foreign_ksuid(time, id));
        let reference = uuid::Uuid::from_u128(id);
        prop_assert_eq!(&*uuid(id), reference.to_string());
        let reference = TypeSafeId::from_type_and_uuid(DynamicType::new("cst").unwrap(), reference);
        prop_assert_eq!(&*typeid(id), reference.to_string());
    }

    #[test]
    fn a_ksuid_with_another_time_names_nothing(time: u32, id: u128) {
        let right = ((id >> 80) / 1000).wrapping_sub(1_400_000_000) as u32;
        let read = parse_ksuid(Prefix::Customer, &foreign_ksuid(time, id));
        let expected = if time == right { Ok(id) } else { Err(SpellingError::NamesNothing) };
        prop_assert_eq!(read, expected);
    }

    /// Texts of the right form, most of which name nothing, and some beyond 160 bits.
    #[test]
    fn a_text_of_the_vendors_form_is_never_malformed(digits in "[0-9A-Za-z]{27}") {
        let text = format!("cus_{digits}");
        match parse_ksuid(Prefix::Customer, &text) {
            Ok(id) => prop_assert_eq!(&*ksuid(Prefix::Customer, id), text),
            Err(error) => prop_assert_eq!(error, SpellingError::NamesNothing),
        }
    }

    #[test]
    fn whatever_is_read_is_spelled_so(text in "(cus_|acct_|client_|cst_|)([0-9a-hA-H-]{22,36}|.{0,40})") {
        if let Some(id) = parse_any(&text) {
            let spellings = [
                uuid(id),
                typeid(id),
                ksuid(Prefix::Customer, id),
                ksuid(Prefix::Account, id),
                ksuid(Prefix::Client, id),
            ];
            prop_assert!(spellings.iter().any(|spelled| spelled.eq_ignore_ascii_case(&text)));
        }
        prop_assert!(parse_ksuid(Prefix::Customer, &text) != Err(SpellingError::NamesNothing) || matches_vendor_pattern(&text));
    }
}
