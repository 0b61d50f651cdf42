//! Clients, keys, customers, accounts, assets and rates.

use serde_json::json;

use super::{id, list, read, time, write};
use crate::Config;
use crate::openapi::Operation;
use crate::openapi::schema::reference;

const CLIENTS: &str = "Clients";
const KEYS: &str = "Keys";
const CUSTOMERS: &str = "Customers";
const ACCOUNTS: &str = "Accounts";
const ASSETS: &str = "Assets and rates";

const BY_EXTERNAL_ID: &str = "Only those with this foreign id.";

pub(crate) fn create_client(_: &Config) -> Operation {
    write("createClient", CLIENTS, "Make a client", Some(("NewClient", true)), (201, "Client")).about(
        "A client's key makes a subsidiary of its own; an operator makes a root client, with a book of its own, unless \
         `parentId` is named.",
    )
}

pub(crate) fn list_clients(config: &Config) -> Operation {
    list("listClients", CLIENTS, "List clients", "Clients", config).query(
        "externalId",
        reference("ExternalId"),
        BY_EXTERNAL_ID,
    )
}

pub(crate) fn get_client(_: &Config) -> Operation {
    read("getClient", CLIENTS, "Show a client", "Client").of("client")
}

pub(crate) fn update_client(_: &Config) -> Operation {
    let body = Some(("ClientChange", true));
    write("updateClient", CLIENTS, "Change a client", body, (200, "Client")).of("client")
}

pub(crate) fn create_key(_: &Config) -> Operation {
    let mut operation = write(
        "createKey",
        KEYS,
        "Make an API key",
        Some(("NewKey", true)),
        (201, "MadeKey"),
    )
    .of("client")
    .about("`token`, `apiKey` and `apiSecret` are shown this once; a replay leaves them out.");
    operation.done.headers.push("Cache-Control");
    operation
}

pub(crate) fn list_keys_of_client(config: &Config) -> Operation {
    list(
        "listKeysOfClient",
        KEYS,
        "List the keys of a client",
        "Keys",
        config,
    )
    .of("client")
}

pub(crate) fn list_keys(config: &Config) -> Operation {
    list("listKeys", KEYS, "List keys", "Keys", config)
}

pub(crate) fn revoke_key(_: &Config) -> Operation {
    let mut operation = write("revokeKey", KEYS, "Revoke an API key", None, (204, "Key")).of("key");
    operation.done.body = None;
    operation.done.what = "It is revoked from the next request on.";
    operation
}

pub(crate) fn rotate_key(_: &Config) -> Operation {
    let body = Some(("KeyRotation", false));
    let mut operation = write("rotateKey", KEYS, "Rotate an API key", body, (201, "RotatedKey"))
        .of("key")
        .about(
            "Makes a key for the same client, with the same label and scopes, in place of this one, which goes on until \
             `replaces.endsAt`: put the new one to use until then. Signed tokens end with the key that they were exchanged \
             for. `token`, `apiKey` and `apiSecret` are shown this once; a replay leaves them out. A key that has ended is \
             not found.",
        );
    operation.done.headers.push("Cache-Control");
    operation
}

pub(crate) fn rotate_signing_key(_: &Config) -> Operation {
    let body = Some(("SigningKeyRotation", false));
    let mut operation = write(
        "rotateSigningKey",
        KEYS,
        "Rotate the key that signs tokens",
        body,
        (200, "SigningKey"),
    )
    .about(
        "For operators, in no book. New tokens are signed with a new key, which their `kid` names; those that were signed before \
         work until they end, or, with `revokeOld`, no more. Other servers over the same store follow within seconds. It is \
         recorded in no book: sent again, it is done again.",
    );
    operation.parameters.clear();
    operation.done.headers.clear();
    operation
}

pub(crate) fn create_customer(_: &Config) -> Operation {
    let body = Some(("NewCustomer", true));
    write(
        "createCustomer",
        CUSTOMERS,
        "Make a customer",
        body,
        (201, "Customer"),
    )
}

pub(crate) fn list_customers(config: &Config) -> Operation {
    list("listCustomers", CUSTOMERS, "List customers", "Customers", config).query(
        "externalId",
        reference("ExternalId"),
        BY_EXTERNAL_ID,
    )
}

pub(crate) fn get_customer(_: &Config) -> Operation {
    read("getCustomer", CUSTOMERS, "Show a customer", "Customer").of("customer")
}

pub(crate) fn update_customer(_: &Config) -> Operation {
    let body = Some(("CustomerChange", true));
    write(
        "updateCustomer",
        CUSTOMERS,
        "Change a customer",
        body,
        (200, "Customer"),
    )
    .of("customer")
}

pub(crate) fn put_dunning(_: &Config) -> Operation {
    let body = Some(("Dunning", true));
    write(
        "setDunning",
        CUSTOMERS,
        "Say where a customer stands with what is owed",
        body,
        (200, "Customer"),
    )
    .of("customer")
}

pub(crate) fn erase_customer(_: &Config) -> Operation {
    let body = Some(("Nothing", false));
    write("eraseCustomer", CUSTOMERS, "Erase what is written about a customer", body, (200, "Customer"))
        .of("customer")
        .about(
            "Names, labels, foreign ids, references and metadata become unreadable for good and read `(erased)`. Money, \
             balances and history stay.",
        )
}

pub(crate) fn value_customer(_: &Config) -> Operation {
    let mut operation = read(
        "valueCustomer",
        CUSTOMERS,
        "Value all that a customer has and owes",
        "Valuation",
    )
    .of("customer")
    .query(
        "currency",
        reference("Asset"),
        "The asset in which to value; it must be named.",
    )
    .query(
        "effectiveAt",
        time(),
        "What counts for this time, at the rates of this time.",
    )
    .query("recordedAt", time(), "What was known at this time.");
    if let Some(currency) = operation
        .parameters
        .iter_mut()
        .find(|parameter| parameter["name"] == "currency")
    {
        currency["required"] = true.into();
    }
    // A balance that no rate leads from.
    operation.more_refusals.push(422);
    operation
}

pub(crate) fn create_account(_: &Config) -> Operation {
    write(
        "createAccount",
        ACCOUNTS,
        "Open an account",
        Some(("NewAccount", true)),
        (201, "Account"),
    )
}

pub(crate) fn list_accounts(config: &Config) -> Operation {
    list("listAccounts", ACCOUNTS, "List accounts", "Accounts", config)
        .query("ownerId", id(), "Only those of this client or customer.")
        .query("externalId", reference("ExternalId"), BY_EXTERNAL_ID)
}

pub(crate) fn get_account(_: &Config) -> Operation {
    read("getAccount", ACCOUNTS, "Show an account", "Account").of("account")
}

pub(crate) fn update_account(_: &Config) -> Operation {
    write(
        "updateAccount",
        ACCOUNTS,
        "Change an account",
        Some(("AccountChange", true)),
        (200, "Account"),
    )
    .of("account")
    .about("`frozen` takes no new debits or holds; `closed` is for accounts that are empty.")
}

pub(crate) fn register_asset(_: &Config) -> Operation {
    let body = Some(("NewAsset", true));
    let mut operation = write(
        "registerAsset",
        ASSETS,
        "Register an asset",
        body,
        (201, "RegisteredAsset"),
    )
    .about("A client's assets are in its own book; an operator's are shared by all.");
    // It is found in the list alone.
    operation.done.headers.retain(|name| *name != "Location");
    operation
}

pub(crate) fn list_assets(config: &Config) -> Operation {
    let mut operation = list("listAssets", ASSETS, "List assets", "Assets", config);
    if let Some(cursor) = operation
        .parameters
        .iter_mut()
        .find(|parameter| parameter["name"] == "cursor")
    {
        cursor["schema"] = reference("Asset");
    }
    operation
}

pub(crate) fn put_rates(config: &Config) -> Operation {
    let mut operation = write(
        "putRates",
        ASSETS,
        "Put rates",
        Some(("Rate", true)),
        (200, "PutRates"),
    )
    .about("A client's rates count in its own book, an operator's in all that have none of their own.");
    let most = config.service.batch_items;
    let all = json!({"type": "array", "items": reference("Rate"), "minItems": 1, "maxItems": most});
    operation.body = Some((all, true));
    operation
}

pub(crate) fn list_rates(config: &Config) -> Operation {
    list("listRates", ASSETS, "List rates, newest first", "Rates", config)
}
