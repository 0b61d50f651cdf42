//! Making the sandbox's world, in a few rounds of commands that are sent together.
//!
//! Each command has a key of its own, so that what was made before an interruption is answered instead of made twice.

use futures_util::future::try_join_all;
use ledger::{AccountId, ClientChange, ClientId, CustomerId, Notes, Owner, Plain, Purpose};
use service::{
    Caller, ClientView, CreateAccount, CreateClient, CreateCustomer, Idempotency, Problem, Service,
    SetDunning,
};
use store::Page;

use super::cast::{self, House, PEOPLE};
use super::landmarks::{CARD, CREDIT, EXTERNAL, MAIN, MEMBER, MERCHANT, RECEIVABLE, ROOT_MAIN};
use super::rates::rates;
use super::story::{self, Accounts};
use crate::failure::Failure;
use crate::place::SANDBOX;

/// What the root client's metadata says once the world is whole.
const WHOLE: &str = r#"{"sandbox":"whole"}"#;

const RLUSD_EXPONENT: u8 = 6;

/// Makes the world unless it is whole; answers with its root client.
pub(super) async fn make(service: &Service) -> Result<ClientId, Failure> {
    let server = Caller::server();
    let first = Page {
        limit: 1,
        after: None,
    };
    let found = service.clients(&server, Some(SANDBOX.to_owned()), first).await?;
    if let Some(root) = found.items.first()
        && root.notes.metadata.as_deref() == Some(WHOLE)
    {
        return Ok(root.id);
    }
    service.initialise(RLUSD_EXPONENT).await?;
    let new = CreateClient {
        legal_name: cast::ROOT.to_owned(),
        time_zone: Some(cast::ROOT_ZONE.to_owned()),
        notes: notes(SANDBOX),
        ..CreateClient::default()
    };
    let root = service.create_client(&server, new, key("root")).await?.value;
    let known: Vec<_> = service
        .assets(&server)
        .await?
        .iter()
        .map(|asset| asset.name)
        .collect();
    service
        .put_rates(&server, rates(root.created_at, &known), key("rates"))
        .await?;
    let caller = service.in_book(server, root.id).await?;
    World {
        service,
        caller: &caller,
    }
    .make(&root)
    .await?;
    Ok(root.id)
}

struct World<'a> {
    service: &'a Service,
    caller: &'a Caller,
}

impl World<'_> {
    async fn make(&self, root: &ClientView) -> Result<(), Failure> {
        let subsidiary = CreateClient {
            parent: Some(root.id),
            legal_name: cast::SUBSIDIARY.to_owned(),
            time_zone: Some(cast::SUBSIDIARY_ZONE.to_owned()),
            notes: notes("sandbox-subsidiary"),
        };
        let subsidiary = self
            .service
            .create_client(self.caller, subsidiary, key("subsidiary"))
            .await?
            .value
            .id;
        let customers = self.customers(root.id, subsidiary).await?;
        let accounts = self.accounts(root.id, subsidiary, &customers).await?;
        let transactions = story::tell(&accounts, root.id, root.created_at);
        let done = self.service.post_each(self.caller, transactions).await?;
        for item in done.items {
            item.result?;
        }
        let member = PEOPLE
            .iter()
            .position(|person| person.external_id == MEMBER)
            .map(|nth| customers[nth]);
        if let Some(customer) = member {
            let label = Some("Dunning Level 1".to_owned());
            let dunning = SetDunning {
                customer,
                label,
                in_debt_collection: false,
            };
            self.service
                .set_dunning(self.caller, dunning, key("dunning"))
                .await?;
        }
        let whole = ClientChange {
            id: root.id,
            legal_name: None,
            time_zone: None,
            external_id: None,
            metadata: Some(Some(WHOLE.into())),
        };
        self.service
            .update_client(self.caller, whole, key("whole"))
            .await?;
        Ok(())
    }

    async fn customers(&self, root: ClientId, subsidiary: ClientId) -> Result<Vec<CustomerId>, Problem> {
        let made = (cast::FIRST_NUMBER..).zip(PEOPLE).map(|(number, person)| {
            let new = CreateCustomer {
                client: Some(match person.house {
                    House::Root => root,
                    House::Subsidiary => subsidiary,
                }),
                legal_name: person.name.to_owned(),
                number: Some(number),
                notes: notes(person.external_id),
            };
            let key = key(&format!("customer {number}"));
            async move {
                Ok(self
                    .service
                    .create_customer(self.caller, new, key)
                    .await?
                    .value
                    .id)
            }
        });
        try_join_all(made).await
    }

    async fn accounts(
        &self,
        root: ClientId,
        subsidiary: ClientId,
        customers: &[CustomerId],
    ) -> Result<Accounts, Problem> {
        let (root, subsidiary) = (Owner::Client(root), Owner::Client(subsidiary));
        let nth = |external_id| PEOPLE.iter().position(|person| person.external_id == external_id);
        let member = nth(MEMBER).map_or(root, |nth| Owner::Customer(customers[nth]));
        let open = |owner, purpose, label, currency, external_id| {
            self.open(
                account(owner, purpose, label, currency, external_id),
                account_key(external_id),
            )
        };
        // The subsidiary's card: its company is another one than that of the book.
        let (external, fees, revenue, root, subsidiary_main, receivable, credit, card) = tokio::try_join!(
            open(root, Purpose::External, "World outside", None, EXTERNAL),
            open(root, Purpose::Internal, "Fees", None, "sandbox-fees"),
            open(root, Purpose::Internal, "Revenue", None, "sandbox-revenue"),
            open(root, Purpose::Main, "Operating account", None, ROOT_MAIN),
            open(
                subsidiary,
                Purpose::Main,
                "Operating account",
                None,
                "sandbox-subsidiary-main"
            ),
            open(member, Purpose::Receivable, "Membership", Some("EUR"), RECEIVABLE),
            open(member, Purpose::Credit, "Drinks card", Some("EUR"), CREDIT),
            open(subsidiary, Purpose::Card, "Team travel card", Some("USD"), CARD),
        )?;
        let mains = PEOPLE.iter().zip(customers).map(|(person, customer)| {
            let main = format!("{}-main", person.external_id);
            let external_id = if person.external_id == MERCHANT {
                MAIN
            } else {
                &main
            };
            let new = account(
                Owner::Customer(*customer),
                Purpose::Main,
                "Main account",
                None,
                external_id,
            );
            self.open(new, account_key(external_id))
        });
        let mains = try_join_all(mains).await?;
        Ok(Accounts {
            external,
            fees,
            revenue,
            root,
            subsidiary: subsidiary_main,
            mains,
            receivable,
            credit,
            card,
        })
    }

    async fn open(&self, new: CreateAccount, key: Idempotency) -> Result<AccountId, Problem> {
        Ok(self.service.create_account(self.caller, new, key).await?.value.id)
    }
}

fn account(
    owner: Owner,
    purpose: Purpose,
    label: &str,
    currency: Option<&str>,
    external_id: &str,
) -> CreateAccount {
    CreateAccount {
        owner,
        purpose,
        label: label.to_owned(),
        currency: currency.map(cast::asset),
        primary: false,
        limits: Vec::new(),
        notes: notes(external_id),
    }
}

fn account_key(external_id: &str) -> Idempotency {
    key(&format!("account {external_id}"))
}

fn notes(external_id: &str) -> Notes<Plain> {
    Notes {
        external_id: Some(external_id.into()),
        metadata: None,
    }
}

fn key(what: &str) -> Idempotency {
    Idempotency {
        header_key: Some(format!("saldo sandbox: {what}")),
    }
}
