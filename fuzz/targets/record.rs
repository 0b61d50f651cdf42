//! The canonical bytes of a record: whatever decodes is spelled by these bytes and no others, or digests would differ.
#![no_main]

use ledger::{AccountId, AccountNo, AssetName, AssetNo, BookNo, Names, decode, encode, peek, peek_base};
use libfuzzer_sys::fuzz_target;

/// Knows every account, and a few assets.
struct Everybody;

impl Names for Everybody {
    fn account(&self, book: BookNo, no: AccountNo) -> Option<AccountId> {
        Some(AccountId(u128::from(book.0) << 64 | u128::from(no.0)))
    }

    fn asset(&self, _: BookNo, no: AssetNo) -> Option<AssetName> {
        let assets = ["USD", "EUR", "USDC@ethereum"];
        AssetName::parse(assets.get(no.0 as usize % 4)?)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (peeked, base) = (peek(bytes), peek_base(bytes));
    let Ok(record) = decode(bytes, &Everybody) else {
        return;
    };
    assert_eq!(peeked, Ok((record.book, record.position, record.recorded_at)));
    assert_eq!(base, Ok(record.base));
    let mut again = Vec::new();
    encode(&record, &mut again);
    assert_eq!(again, bytes, "{record:#?}");
});
