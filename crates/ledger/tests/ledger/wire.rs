//! Bytes that are kept: records in journals, digests over them, and fingerprints that repeated requests are compared by. What
//! stands here was written by earlier versions; if a test fails, their stores can't be read any more.

use ledger::{
    Account, AccountId, AccountNo, AccountStatus, Action, Amount, AssetName, AssetNo, BookNo, ClientId, Code,
    Credit, CustomerId, Details, Findable, Fingerprint, HoldTerms, Key, Limit, Lookup, Micros, Notes, Owner,
    Plain, Position, Posting, Purpose, RULES, Record, Subject, Text, Texts, Transaction, TransactionId,
};

fn posting() -> Posting {
    Posting {
        from: AccountId(0x0a0b << 64 | 3),
        to: AccountId(4),
        asset: AssetName::parse("USDC@base").expect("an asset"),
        amount: Amount::new(1_050).expect("small"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The record of a transaction that was refused, with texts or without.
fn record(party: Option<Subject>, with_texts: bool) -> String {
    let transaction = Transaction {
        id: TransactionId(9),
        postings: [posting()].into_iter().collect(),
        texts: with_texts
            .then(|| {
                let notes = Notes {
                    external_id: Some(Findable::new(Lookup([2; 16]), b"ext")),
                    metadata: Some(Text::new(*b"meta")),
                };
                Texts::new(party, Some(Findable::new(Lookup([1; 16]), b"ref")), notes)
            })
            .flatten(),
        effective_at: Some(Micros(77)),
        hold: Some(HoldTerms {
            expires_at: Some(Micros(99)),
        }),
        force: true,
    };
    let record = Record {
        book: BookNo(1),
        position: Position(5),
        base: Position(2),
        recorded_at: Micros(1_000),
        rules: RULES,
        client: Some(ClientId(6)),
        key: Key::Id(9.into()),
        fingerprint: Fingerprint([8; 16]),
        action: Action::Post(transaction),
        outcome: Err(Code::InsufficientFunds.into()),
    };
    let mut bytes = Vec::new();
    ledger::encode(&record, &mut bytes);
    hex(&bytes)
}

#[test]
fn a_transaction_is_written_as_ever() {
    let all = record(Some(Subject(7)), true);
    let of_nobody = record(None, true);
    let plain = record(None, false);
    assert_eq!(
        all,
        concat!(
            "8100000001010502d00f010000000000000000000000000000000600080808080808080808080808080808080cff0000",
            "000000000000000000000000000901000000000000000000000000000000079a01c601010000000000000a0b00000000",
            "0000000300000000000000000000000000000004095553444340626173659a08002f0000001301010101010101010101",
            "0101010101017265661302020202020202020202020202020202657874046d657461",
        )
    );
    assert_eq!(
        of_nobody,
        concat!(
            "7100000001010502d00f010000000000000000000000000000000600080808080808080808080808080808080cff0000",
            "0000000000000000000000000009009a01c601010000000000000a0b0000000000000003000000000000000000000000",
            "00000004095553444340626173659a08002f000000130101010101010101010101010101010172656613020202020202",
            "02020202020202020202657874046d657461",
        )
    );
    assert_eq!(
        plain,
        concat!(
            "7000000001010502d00f010000000000000000000000000000000600080808080808080808080808080808080cf10000",
            "00000000000000000000000000099a01c601010000000000000a0b000000000000000300000000000000000000000000",
            "000004095553444340626173659a08002f000000",
        )
    );
}

#[test]
fn what_was_asked_is_hashed_as_ever() {
    let asked = |reference: Option<&str>, metadata: Option<&str>| {
        let notes = Notes::<Plain> {
            external_id: None,
            metadata: metadata.map(Into::into),
        };
        let action = Action::Post(Transaction::<Plain> {
            id: TransactionId(9),
            postings: [posting()].into_iter().collect(),
            texts: Texts::new(None, reference.map(Into::into), notes),
            effective_at: None,
            hold: None,
            force: false,
        });
        hex(&ledger::fingerprint(&action, true, &[3; 32]).0)
    };
    assert_eq!(
        asked(Some("rent"), Some("{}")),
        "9e5e2704a97d8051e53c8debfc3464f7"
    );
    assert_eq!(asked(Some("rent"), None), "57ed04c333288d84fc311378ebbe2f1f");
    assert_eq!(asked(None, None), "8be05fab9dd0639d201a3d91ea66b3e2");
}

#[test]
fn an_account_is_written_in_one_row_as_ever() {
    let limits = vec![Limit {
        asset: AssetNo(840),
        credit: Credit::Unlimited,
        max_balance: Some(Amount::from(7)),
    }];
    let notes = Notes {
        external_id: Some(Findable::new(Lookup([2; 16]), b"ext")),
        metadata: Some(Text::new(*b"meta")),
    };
    let all = (Text::new(*b"label"), limits, notes);
    let written = [
        "85808080808080808096280601070805056c6162656c0101d2070101c80601010701130202020202020202020202020202020265787401046d6574611214",
        "85808080808080808096280601070805000101d207010000001214",
    ];
    for ((label, limits, notes), written) in [all, Default::default()].into_iter().zip(written) {
        let account = Account {
            id: AccountId(0x0a0b << 64 | 5),
            no: AccountNo(6),
            owner: Owner::Customer(CustomerId(7)),
            client: ClientId(8),
            purpose: Purpose::Internal,
            status: AccountStatus::Frozen,
            currency: Some(AssetNo(978)),
            primary: true,
            details: Details::new(label, limits, notes),
            created_at: Micros(9),
            updated_at: Micros(10),
        };
        let bytes = postcard::to_allocvec(&account).expect("it is plain data");
        assert_eq!(hex(&bytes), written);
        assert_eq!(postcard::from_bytes(&bytes), Ok(account));
    }
}
