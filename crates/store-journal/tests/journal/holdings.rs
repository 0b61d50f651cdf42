//! What a customer holds, at the edge of what a number holds.

use ledger::{
    AccountId, Action, Amount, AssetName, Command, CustomerId, NewAccount, NewCustomer, Notes, Owner,
    Posting, Purpose, Transaction, TransactionId,
};
use store::{AsOf, Outcome, Purposes, Store, Viewer};

use crate::common::{BOOK, ROOT, command, open, world};

const CUSTOMER: CustomerId = CustomerId(500);

fn usd() -> AssetName {
    AssetName::new("USD", None).expect("an asset")
}

fn account(id: u128, owner: Owner, purpose: Purpose) -> Command {
    let account = NewAccount {
        id: AccountId(id),
        owner,
        purpose,
        label: ledger::Text::new(*b"an account"),
        currency: None,
        primary: false,
        limits: Vec::new(),
        notes: Notes::default(),
    };
    command(BOOK, Some(ROOT), id, Action::CreateAccount(account))
}

fn post(id: u128, from: u128, to: u128) -> Command {
    let posting = Posting {
        from: AccountId(from),
        to: AccountId(to),
        asset: usd(),
        amount: Amount::new(i128::MAX.unsigned_abs()).expect("the largest amount"),
    };
    let transaction = Transaction {
        id: TransactionId(id),
        postings: [posting].into_iter().collect(),
        texts: None,
        effective_at: None,
        hold: None,
        force: false,
    };
    command(BOOK, Some(ROOT), id, Action::Post(transaction))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_is_exact_whatever_the_sums_on_the_way_are() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    let customer = NewCustomer {
        id: CUSTOMER,
        client: ROOT,
        legal_name: ledger::Text::new(*b"Customer"),
        number: None,
        notes: Notes::default(),
    };
    let (client, owner) = (Owner::Client(ROOT), Owner::Customer(CUSTOMER));
    let mut commands = world();
    commands.push(command(BOOK, Some(ROOT), 500, Action::CreateCustomer(customer)));
    commands.extend([
        account(1, client, Purpose::External),
        account(2, client, Purpose::External),
        account(11, owner, Purpose::Wallet),
        account(12, owner, Purpose::Wallet),
        account(13, owner, Purpose::Receivable),
        post(101, 1, 11),
        post(102, 2, 12),
    ]);
    for answer in store.submit(commands).await {
        assert!(
            matches!(&answer, Ok(Outcome::Recorded(record)) if record.outcome.is_ok()),
            "{answer:?}"
        );
    }
    let viewer = Viewer {
        book: BOOK,
        client: None,
    };
    let held = async || {
        let all = Purposes::of(&Purpose::ALL);
        let value = store.valuation(viewer, CUSTOMER, all, usd(), AsOf::NOW).await;
        let value = value.expect("it is read").expect("it is there").value;
        value
            .holdings
            .map(|all| all.into_iter().map(|holding| holding.settled).collect::<Vec<_>>())
    };
    assert_eq!(held().await, None, "twice the largest is no number");
    let answers = store.submit(vec![post(103, 13, 1)]).await;
    assert!(
        matches!(&answers[..], [Ok(Outcome::Recorded(record))] if record.outcome.is_ok()),
        "{answers:?}"
    );
    assert_eq!(held().await, Some(vec![i128::MAX]));
}
