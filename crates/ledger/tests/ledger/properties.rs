//! Random streams of commands. Names come from small pools, so that they collide; amounts from the ends of the range.

use ledger::{
    AccountChange, AccountId, AccountStatus, Action, Amount, ApiKeyId, AssetKind, AssetName, BookNo, Capture,
    ClientChange, ClientId, Command, CreditChange, CustomerChange, CustomerId, Decimal, Findable,
    Fingerprint, HoldTerms, Key, KeyRotation, LimitChange, Lookup, Micros, NewAccount, NewApiKey, NewClient,
    NewCustomer, Notes, Owner, Parts, Posting, Postings, Purpose, Rate, Release, Reverse, Scopes, Text,
    Transaction, TransactionId,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::World;

const START: i64 = 1_700_000_000_000_000;

const ROOT: ClientId = ClientId(1);
const SUBSIDIARY: ClientId = ClientId(2);
const OTHER_ROOT: ClientId = ClientId(11);

/// A command before it is stamped.
#[derive(Clone, Debug)]
struct Step {
    /// Which of the two books.
    other_book: bool,
    by_subsidiary: bool,
    /// An idempotency key; else the id of what is made.
    key: Option<u8>,
    /// Seconds since the step before.
    pause: i64,
    /// Whether what is made gets an id of its own, rather than one from the pool.
    is_new: bool,
    /// What a follow-up is about: one of the transactions so far, or whatever the action says.
    about: Option<prop::sample::Index>,
    action: Action,
}

fn amount() -> impl Strategy<Value = Amount> {
    let edges = [
        0,
        (1 << 64) - 1,
        1 << 64,
        1 << 126,
        Amount::MAX.get() - 1,
        Amount::MAX.get(),
    ];
    let number = prop_oneof![
        40 => 1..100u128,
        1 => select(edges.to_vec()),
    ];
    number.prop_map(|number| Amount::new(number).expect("in range"))
}

fn account_id() -> impl Strategy<Value = AccountId> {
    let number = prop_oneof![
        6 => Just(0),
        20 => 1..7u128,
        // These are never made, or only by some streams.
        1 => 7..9u128,
    ];
    number.prop_map(|n| AccountId(100 + n))
}

fn transaction_id() -> impl Strategy<Value = TransactionId> {
    (0..14u128).prop_map(|n| TransactionId(200 + n))
}

fn customer_id() -> impl Strategy<Value = CustomerId> {
    (0..3u128).prop_map(|n| CustomerId(300 + n))
}

fn client_id() -> impl Strategy<Value = ClientId> {
    select(vec![ROOT, SUBSIDIARY, ClientId(3), ClientId(4), OTHER_ROOT])
}

fn asset() -> impl Strategy<Value = AssetName> {
    prop_oneof![
        12 => Just("USD"),
        2 => Just("USDC@base"),
        1 => Just("MILES"),
        1 => Just("XYZ"),
    ]
    .prop_map(|name| AssetName::parse(name).expect("a name"))
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let posting = (account_id(), account_id(), asset(), amount());
    let posting = posting.prop_map(|(from, to, asset, amount)| Posting {
        from,
        to,
        asset,
        amount,
    });
    let hold = option::of(option::of(-2..20i64));
    (
        transaction_id(),
        vec(posting, 1..4),
        hold,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(id, postings, hold, force)| Transaction {
            id,
            postings: Postings::from_vec(postings),
            texts: None,
            effective_at: None,
            hold: hold.map(|seconds| HoldTerms {
                expires_at: seconds.map(|seconds| Micros(START + seconds * 1_000_000)),
            }),
            force,
        })
}

fn parts() -> impl Strategy<Value = Option<Parts>> {
    option::of(vec((0..3u32, amount()), 1..4).prop_map(Parts::from_vec))
}

fn limits() -> impl Strategy<Value = Vec<LimitChange>> {
    let credit = option::of(prop_oneof![
        4 => amount().prop_map(CreditChange::Limit),
        1 => Just(CreditChange::Unlimited),
    ]);
    let limit = (asset(), credit, option::weighted(0.2, amount()));
    let limit = limit.prop_map(|(asset, credit, max_balance)| LimitChange {
        asset,
        credit,
        max_balance,
    });
    vec(limit, 0..3)
}

fn new_account() -> impl Strategy<Value = Action> {
    let owner = prop_oneof![
        client_id().prop_map(Owner::Client),
        customer_id().prop_map(Owner::Customer)
    ];
    let rest = (option::weighted(0.3, asset()), any::<bool>(), limits());
    (account_id(), owner, select(Purpose::ALL.to_vec()), rest).prop_map(
        |(id, owner, purpose, (currency, primary, limits))| {
            Action::CreateAccount(NewAccount {
                id,
                owner,
                purpose,
                label: Text::new(*b""),
                currency,
                primary,
                limits,
                notes: Notes::default(),
            })
        },
    )
}

fn account_change() -> impl Strategy<Value = Action> {
    let status = option::of(select(vec![
        AccountStatus::Active,
        AccountStatus::Active,
        AccountStatus::Frozen,
        AccountStatus::Closed,
    ]));
    let status = option::weighted(0.3, status);
    (account_id(), status, limits(), any::<bool>()).prop_map(|(id, status, limits, primary)| {
        let status = status.flatten();
        Action::UpdateAccount(AccountChange {
            id,
            label: None,
            status,
            limits,
            primary,
            external_id: None,
            metadata: None,
        })
    })
}

fn party_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (client_id(), client_id()).prop_map(|(id, parent)| {
            Action::CreateClient(NewClient {
                id,
                parent: Some(parent),
                legal_name: Text::new(*b"A"),
                time_zone: "UTC".into(),
                notes: Notes::default(),
            })
        }),
        (client_id(), any::<bool>()).prop_map(|(id, clear)| {
            Action::UpdateClient(ClientChange {
                id,
                legal_name: Some(Text::new(*b"B")),
                time_zone: None,
                external_id: Some((!clear).then(|| Findable::new(Lookup([1; 16]), b"b"))),
                metadata: None,
            })
        }),
        (0..3u128, client_id()).prop_map(|(id, client)| {
            Action::CreateApiKey(NewApiKey {
                id: ApiKeyId(400 + id),
                client: Some(client),
                label: Text::new(*b""),
                scopes: Scopes::POST,
                secret_hash: [0; 32],
                expires_at: None,
            })
        }),
        (0..3u128, 0..3u128, 0..90u32).prop_map(|(old, id, overlap)| {
            Action::RotateApiKey(KeyRotation {
                old: ApiKeyId(400 + old),
                id: ApiKeyId(400 + id),
                label: Text::new(*b"D"),
                secret_hash: [1; 32],
                overlap,
                expires_at: None,
            })
        }),
        (0..3u128).prop_map(|id| Action::RevokeApiKey {
            id: ApiKeyId(400 + id)
        }),
        (customer_id(), client_id(), option::of(1..4i64)).prop_map(|(id, client, number)| {
            Action::CreateCustomer(NewCustomer {
                id,
                client,
                legal_name: Text::new(*b"C"),
                number,
                notes: Notes::default(),
            })
        }),
        (customer_id(), any::<bool>()).prop_map(|(id, clear)| {
            Action::UpdateCustomer(CustomerChange {
                id,
                legal_name: None,
                external_id: None,
                metadata: Some((!clear).then(|| Text::new(*b"{}"))),
            })
        }),
        customer_id().prop_map(|id| Action::EraseCustomer { id }),
        (customer_id(), any::<bool>()).prop_map(|(customer, in_debt_collection)| Action::SetDunning {
            customer,
            label: None,
            in_debt_collection,
        }),
        (asset(), 0..7u8).prop_map(|(name, exponent)| Action::RegisterAsset {
            name,
            exponent,
            kind: AssetKind::Custom,
        }),
        (asset(), asset(), 0..3u128, 0..3i64).prop_map(|(base, quote, digits, as_of)| {
            Action::PutRates(vec![Rate {
                base,
                quote,
                rate: Decimal { digits, scale: 0 },
                as_of: Micros(as_of),
                source: "".into(),
            }])
        }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let follow_up = (transaction_id(), transaction_id(), parts(), any::<bool>()).boxed();
    prop_oneof![
        20 => transaction().prop_map(Action::Post),
        2 => vec(transaction(), 1..4).prop_map(Action::PostBatch),
        6 => (follow_up.clone(), any::<bool>(), prop::bool::weighted(0.1)).prop_map(
            |((id, hold, parts, last), allow_over, force)| {
                let last = last || parts.is_none();
                Action::Capture(Capture { id, hold, parts, last, allow_over, force })
            }
        ),
        3 => follow_up.clone().prop_map(|(id, hold, parts, _)| Action::Release(Release { id, hold, parts })),
        4 => follow_up.prop_map(|(id, transaction, parts, force)| {
            Action::Reverse(Reverse { id, transaction, parts, force })
        }),
        2 => transaction_id().prop_map(|hold| Command::expiry(BookNo(1), hold, Micros(0)).action),
        4 => account_change(),
        1 => new_account(),
        3 => party_action(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![12 => Just(0i64), 2 => 1..5i64, 1 => Just(-3i64)];
    let who = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let about = option::weighted(0.9, any::<prop::sample::Index>());
    let ids = (option::weighted(0.05, 0..4u8), prop::bool::weighted(0.9), about);
    (who, ids, pause, action()).prop_map(
        |((other_book, by_subsidiary), (key, is_new, about), pause, action)| Step {
            other_book,
            by_subsidiary,
            key,
            pause,
            is_new,
            about,
            action,
        },
    )
}

/// Points a follow-up at something that there is, and gives what is made an id of its own.
fn aim(step: &mut Step, world: &World, book: BookNo, nth: u128) {
    let ids = || {
        let records = world.records.iter().filter(|record| record.book == book);
        records.flat_map(|record| record.booked().iter().map(|booked| booked.id))
    };
    let rows = world.full.book(book).expect("furnished");
    let holds = || ids().filter(|id| rows.holds.peek(id).is_some());
    let pick = |among: Vec<TransactionId>| {
        let index = step.about.filter(|_| !among.is_empty())?;
        Some(*index.get(&among))
    };
    match &mut step.action {
        Action::Capture(Capture { hold, .. }) | Action::Release(Release { hold, .. }) => {
            *hold = pick(holds().collect()).unwrap_or(*hold);
        }
        Action::Expire { hold, id } => {
            let about = pick(holds().collect()).unwrap_or(*hold);
            let expiry = Command::expiry(book, about, Micros(0));
            (*hold, *id) = (about, expiry.transaction_ids().next().expect("its id"));
        }
        Action::Reverse(reverse) => {
            reverse.transaction = pick(ids().collect()).unwrap_or(reverse.transaction);
        }
        _ => {}
    }
    if !step.is_new {
        return;
    }
    match &mut step.action {
        Action::Post(transaction) => transaction.id = TransactionId(1000 * nth),
        Action::PostBatch(transactions) => {
            for (transaction, item) in transactions.iter_mut().zip(0..) {
                transaction.id = TransactionId(1000 * nth + item);
            }
        }
        Action::Capture(Capture { id, .. })
        | Action::Release(Release { id, .. })
        | Action::Reverse(Reverse { id, .. }) => *id = TransactionId(1000 * nth),
        _ => {}
    }
}

/// The id that an action makes, for its key.
fn made(action: &Action) -> Option<u128> {
    match action {
        Action::CreateClient(new) => Some(new.id.0),
        Action::CreateApiKey(new) => Some(new.id.0),
        Action::RotateApiKey(rotation) => Some(rotation.id.0),
        Action::CreateCustomer(new) => Some(new.id.0),
        Action::CreateAccount(new) => Some(new.id.0),
        Action::Post(transaction) => Some(transaction.id.0),
        Action::Capture(capture) => Some(capture.id.0),
        Action::Release(release) => Some(release.id.0),
        Action::Reverse(reverse) => Some(reverse.id.0),
        _ => None,
    }
}

fn fingerprint(action: &Action) -> Fingerprint {
    match Key::named(&format!("{action:?}")) {
        Key::Named(bytes) => Fingerprint(bytes),
        other => unreachable!("{other:?}"),
    }
}

fn command(book: BookNo, client: Option<ClientId>, key: Key, stamp: i64, action: Action) -> Command {
    Command {
        book,
        client,
        key,
        fingerprint: fingerprint(&action),
        stamp: Micros(stamp),
        action,
    }
}

/// Two books, the first with a subsidiary, each with accounts of several purposes.
fn furnished() -> World {
    let mut world = World::new();
    let client = |id, parent| {
        Action::CreateClient(NewClient {
            id,
            parent,
            legal_name: Text::new(*b"R"),
            time_zone: "UTC".into(),
            notes: Notes::default(),
        })
    };
    let account = |id, owner, purpose| {
        Action::CreateAccount(NewAccount {
            id: AccountId(id),
            owner: Owner::Client(owner),
            purpose,
            label: Text::new(*b""),
            currency: None,
            primary: false,
            limits: Vec::new(),
            notes: Notes::default(),
        })
    };
    let init = Action::Initialise { rlusd_exponent: 6 };
    let mut all = vec![
        (0, None, init),
        (0, None, client(ROOT, None)),
        (0, None, client(OTHER_ROOT, None)),
        (1, Some(ROOT), client(SUBSIDIARY, Some(ROOT))),
    ];
    for (book, root, subsidiary) in [(1, ROOT, SUBSIDIARY), (2, OTHER_ROOT, OTHER_ROOT)] {
        let accounts = [
            account(100, root, Purpose::External),
            account(101, root, Purpose::Main),
            account(102, root, Purpose::Main),
            account(103, subsidiary, Purpose::Main),
            account(104, subsidiary, Purpose::External),
            account(105, root, Purpose::Internal),
            account(106, root, Purpose::Receivable),
        ];
        all.extend(accounts.map(|action| (book, Some(root), action)));
    }
    for (nth, (book, client, action)) in all.into_iter().enumerate() {
        let key = Key::named(&format!("furniture {nth}"));
        world.submit(&command(BookNo(book), client, key, START, action));
    }
    world
}

fn run(steps: Vec<Step>) -> World {
    let mut world = furnished();
    let mut now = START;
    for (nth, mut step) in (1..).zip(steps) {
        now += step.pause * 1_000_000;
        let (book, root) = if step.other_book {
            (BookNo(2), OTHER_ROOT)
        } else {
            (BookNo(1), ROOT)
        };
        aim(&mut step, &world, book, nth);
        if let Action::Expire { hold, .. } = step.action {
            world.submit(&Command::expiry(book, hold, Micros(now)));
            continue;
        }
        let client = if step.by_subsidiary { SUBSIDIARY } else { root };
        let key = match (step.key, made(&step.action)) {
            (Some(key), _) => Key::named(&key.to_string()),
            (None, Some(id)) => Key::Id(id.into()),
            (None, None) => Key::named(&format!("step {nth}")),
        };
        world.submit(&command(book, Some(client), key, now, step.action));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// `World::submit` checks the rest: that all completenesses decide alike, and the invariants.
    #[test]
    fn any_stream_keeps_the_invariants_and_replays(steps in vec(step(), 1..60)) {
        let world = run(steps);
        let records = world.records.len();
        world.assert_replays(&[0, records / 3, records * 2 / 3, records - 1]);
    }

    #[test]
    fn a_record_is_read_as_it_was_written(steps in vec(step(), 1..40), damage in any::<(u16, u16, u8)>()) {
        let world = run(steps);
        let mut bytes = Vec::new();
        for record in &world.records {
            bytes.clear();
            ledger::encode(record, &mut bytes);
            let read = ledger::decode(&bytes, &world.full);
            prop_assert_eq!(read.as_ref(), Ok(&**record));
            // Damaged bytes are refused or read as something else, and never a reason to panic.
            let (cut, at, mask) = damage;
            let cut = usize::from(cut) % bytes.len();
            prop_assert!(ledger::decode(&bytes[..cut], &world.full).is_err());
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= mask | 1;
            if let Ok(read) = ledger::decode(&bytes, &world.full) {
                let mut again = Vec::new();
                ledger::encode(&read, &mut again);
                prop_assert_eq!(again, bytes.clone());
            }
        }
    }
}
