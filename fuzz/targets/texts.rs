//! Texts of one value: ids in every spelling, amounts, assets, times. What is read is written as it was.
#![no_main]

use dialects::json::Json;
use dialects::spelling::{self, Prefix};
use dialects::time;
use ledger::{Amount, AssetName, Micros};
use libfuzzer_sys::fuzz_target;

fn ids(text: &str) {
    if let Some(id) = spelling::parse_any(text) {
        let ksuids = Prefix::ALL.map(|prefix| spelling::ksuid(prefix, id));
        let all = [spelling::uuid(id), spelling::typeid(id)]
            .into_iter()
            .chain(ksuids);
        let spelled = all.into_iter().any(|spelled| spelled.eq_ignore_ascii_case(text));
        assert!(spelled, "{text} is a spelling of {id:032x}");
    }
    if let Some(bytes) = text.as_bytes().first_chunk::<16>() {
        let id = u128::from_be_bytes(*bytes);
        assert_eq!(spelling::parse_uuid(&spelling::uuid(id)), Ok(id));
        assert_eq!(spelling::parse_typeid(&spelling::typeid(id)), Ok(id));
        for prefix in Prefix::ALL {
            assert_eq!(
                spelling::parse_ksuid(prefix, &spelling::ksuid(prefix, id)),
                Ok(id)
            );
        }
    }
}

fuzz_target!(|text: &str| {
    ids(text);
    if let Ok(amount) = Amount::parse(text) {
        assert_eq!(amount.to_string(), text);
    }
    if let Some(asset) = AssetName::parse(text) {
        assert_eq!(asset.as_str(), text);
    }
    if let Some(Micros(at)) = time::parse(text) {
        assert_eq!(time::parse(&time::format(Micros(at))), Some(Micros(at)));
    }
    if let Some(bytes) = text.as_bytes().first_chunk::<8>() {
        let at = Micros(i64::from_le_bytes(*bytes));
        assert!(time::parse(&time::format(at)).is_some(), "{}", time::format(at));
    }
    let mut json = Json::default();
    json.string(text);
    let read: String = serde_json::from_slice(json.as_bytes()).expect("JSON");
    assert_eq!(read, text);
});
