//! From a request to a command: hashed as it was asked, then sealed.

use std::sync::Arc;

use ledger::{
    AccountChange, AccountId, Action, ApiKeyId, Command, Key, Map, Owner, Plain, Posting, Purpose, Subject,
    Transaction,
};

use crate::auth::Caller;
use crate::cipher::{BookKeys, Sealing};
use crate::problem::Problem;
use crate::texts::party_of;
use crate::vault::Keys;
use crate::{Service, write::Asked};

/// Whose texts an action of the register holds.
enum Party {
    /// Nobody's: there are none, or each transaction says whose.
    None,
    /// Somebody's who is new with it.
    New(Subject),
    /// Somebody's who is there.
    Known(Subject),
    /// Those of the owner of an account.
    OwnerOf(AccountId),
    /// Those of whom a key acts for.
    HolderOf(ApiKeyId),
}

fn party(action: &Action<Plain>) -> Party {
    match action {
        Action::CreateClient(new) => Party::New(new.id.into()),
        Action::CreateCustomer(new) => Party::New(new.id.into()),
        Action::UpdateClient(change) => Party::Known(change.id.into()),
        Action::CreateApiKey(new) => Party::Known(new.client.map_or(Subject::OPERATOR, Subject::from)),
        Action::RotateApiKey(rotation) => Party::HolderOf(rotation.old),
        Action::UpdateCustomer(change) => Party::Known(change.id.into()),
        Action::SetDunning { customer, .. } => Party::Known((*customer).into()),
        Action::CreateAccount(new) => Party::Known(new.owner.into()),
        Action::UpdateAccount(change) if has_text(change) => Party::OwnerOf(change.id),
        Action::UpdateAccount(_)
        | Action::Initialise { .. }
        | Action::RevokeApiKey { .. }
        | Action::EraseCustomer { .. }
        | Action::RegisterAsset { .. }
        | Action::PutRates(_)
        | Action::Post(_)
        | Action::PostBatch(_)
        | Action::Capture(_)
        | Action::Release(_)
        | Action::Expire { .. }
        | Action::Reverse(_) => Party::None,
    }
}

fn has_text(change: &AccountChange<Plain>) -> bool {
    let notes = [&change.external_id, &change.metadata];
    change.label.is_some() || notes.into_iter().flatten().any(Option::is_some)
}

/// The transactions of an action.
fn transactions(action: &mut Action<Plain>) -> &mut [Transaction<Plain>] {
    match action {
        Action::Post(transaction) => std::slice::from_mut(transaction),
        Action::PostBatch(transactions) => transactions,
        _ => &mut [],
    }
}

/// The root client, whose the texts are that are no customer's; the operator in book 0.
fn root(caller: &Caller) -> Subject {
    caller.root.map_or(Subject::OPERATOR, Subject::from)
}

impl Service {
    /// These actions as the caller's commands, stamped now, their texts sealed.
    pub(crate) async fn commands(
        &self,
        caller: &Caller,
        mut asked: Vec<Asked>,
    ) -> Result<Vec<Command>, Problem> {
        let of_books = self.keys_of_books(caller).await?;
        let (parties, keys) = self.parties(caller, &mut asked).await?;
        self.sealed(caller, asked.into_iter().zip(parties), &keys, &of_books)
    }

    /// The same of transactions in which nothing is written about anybody.
    pub(crate) async fn commands_without_text(
        &self,
        caller: &Caller,
        asked: impl Iterator<Item = Asked> + Send,
    ) -> Result<Vec<Command>, Problem> {
        let root = root(caller);
        let asked = asked.map(|mut asked| {
            debug_assert!(!transactions(&mut asked.action).iter().any(Transaction::has_text));
            (asked, root)
        });
        let of_books = self.keys_of_books(caller).await?;
        self.sealed(caller, asked, &Keys::default(), &of_books)
    }

    /// Those of the caller's book and of the operator's.
    async fn keys_of_books(&self, caller: &Caller) -> Result<[Arc<BookKeys>; 2], Problem> {
        Ok([self.book_keys(caller).await?, self.operator_keys().await?])
    }

    fn sealed(
        &self,
        caller: &Caller,
        asked: impl Iterator<Item = (Asked, Subject)>,
        keys: &Keys,
        [book, operator]: &[Arc<BookKeys>; 2],
    ) -> Result<Vec<Command>, Problem> {
        let mut sealing = Sealing::new(keys, book, operator);
        let stamp = self.clock.now();
        let commands = asked.map(|(asked, party)| Command {
            book: caller.viewer.book,
            client: caller.viewer.client,
            key: asked.key,
            // Before sealing, which is different each time.
            fingerprint: ledger::fingerprint(&asked.action, asked.id_given, &book.fingerprint),
            stamp,
            action: asked.action.seal(party, &mut sealing),
        });
        let commands = commands.collect();
        sealing.finish(commands)
    }

    /// One action as the caller's command.
    pub(crate) async fn command(
        &self,
        caller: &Caller,
        key: Key,
        action: Action<Plain>,
        id_given: bool,
    ) -> Result<Command, Problem> {
        let asked = Asked {
            key,
            action,
            id_given,
        };
        let mut commands = self.commands(caller, vec![asked]).await?;
        commands
            .pop()
            .ok_or_else(|| Problem::internal("an action became no command"))
    }

    /// Whose texts each action holds, and their keys.
    async fn parties(&self, caller: &Caller, asked: &mut [Asked]) -> Result<(Vec<Subject>, Keys), Problem> {
        let mut parties = Vec::with_capacity(asked.len());
        let mut known = Vec::new();
        for one in &*asked {
            let party = match party(&one.action) {
                Party::None => {
                    parties.push(root(caller));
                    continue;
                }
                // Whoever makes somebody makes nobody else with the same request.
                Party::New(new) => return Ok((vec![new], self.make_text_key(new).await?)),
                Party::Known(party) => party,
                Party::OwnerOf(account) => {
                    let owners = self.account_owners(caller.viewer.book, &[account]).await?;
                    let owner = owners.get(&account);
                    owner.map_or_else(|| root(caller), |(owner, _)| Subject::from(*owner))
                }
                Party::HolderOf(key) => {
                    let holder = self.store.api_key(caller.viewer.book, key).await?;
                    holder.map_or_else(|| root(caller), |holder| party_of(&holder.key))
                }
            };
            known.push(party);
            parties.push(party);
        }
        let with_text = |asked: &mut Asked| transactions(&mut asked.action).iter().any(Transaction::has_text);
        if asked.iter_mut().any(with_text) {
            return Ok((parties, self.parties_of_transactions(caller, asked).await?));
        }
        Ok((parties, self.text_keys(&known).await?))
    }

    /// Says of each transaction with text whose it is: the owner's of the first account that is not `external`. Where
    /// that one was erased, or there is none, it is the root client's.
    async fn parties_of_transactions(&self, caller: &Caller, asked: &mut [Asked]) -> Result<Keys, Problem> {
        let root = root(caller);
        let mut with_text: Vec<_> = asked
            .iter_mut()
            .flat_map(|asked| transactions(&mut asked.action))
            .filter_map(|transaction| {
                Some((transaction.postings.first().copied(), transaction.texts.as_mut()?))
            })
            .collect();
        let first = with_text.iter().filter_map(|(first, _)| *first);
        let accounts: Vec<_> = first.flat_map(|first| [first.from, first.to]).collect();
        let owners = self.account_owners(caller.viewer.book, &accounts).await?;
        for (first, texts) in &mut with_text {
            let owner = first.and_then(|first| owner_of(&first, &owners));
            texts.party = Some(owner.unwrap_or(root));
        }
        let parties = with_text
            .iter()
            .filter_map(|(_, texts)| texts.party)
            .chain([root]);
        let keys = self.text_keys(&parties.collect::<Vec<_>>()).await?;
        for (_, texts) in with_text {
            texts.party = texts
                .party
                .filter(|party| keys.get(*party).is_some())
                .or(Some(root));
        }
        Ok(keys)
    }
}

fn owner_of(first: &Posting, owners: &Map<AccountId, (Owner, Purpose)>) -> Option<Subject> {
    [first.from, first.to]
        .iter()
        .filter_map(|account| owners.get(account))
        .find(|(_, purpose)| *purpose != Purpose::External)
        .map(|(owner, _)| (*owner).into())
}
