//! Trying a whole import in memory: the ledger decides every action, and nothing is written.

use std::sync::Arc;

use ledger::{
    Action, BookNo, ClientId, Command, Completeness, Decision, Findable, Fingerprint, Key, Lookup, Micros,
    NewClient, Notes, Place, Plain, Rejection, Sealer, State, Subject, Text, apply, decide,
};

use super::lines::{Item, Problems};
use super::{Target, key_of};
use crate::failure::Failure;

/// The book of the trial.
const BOOK: BookNo = BookNo(1);

/// Seals nothing: texts don't matter here.
struct Blank;

impl Sealer for Blank {
    fn text(&mut self, _: Subject, _: Place, _: &str) -> Text {
        Text::default()
    }

    fn findable(&mut self, _: Subject, place: Place, plain: &str) -> Findable {
        let mut lookup = [place.field as u8; 16];
        let hash = blake3::hash(plain.as_bytes());
        lookup[1..].copy_from_slice(&hash.as_bytes()[..15]);
        Findable::new(Lookup(lookup), &[])
    }
}

/// What a refusal says.
pub(super) fn refusal(rejection: &Rejection) -> String {
    let mut text = format!("{}: {}", rejection.code, rejection.code.cure());
    if let Some(item) = rejection.item {
        text += &format!(" (transaction {item})");
    }
    if let Some(posting) = rejection.posting {
        text += &format!(" (posting {posting})");
    }
    if let Some(account) = rejection.account {
        text += &format!(" (account {account})");
    }
    text
}

/// The book so far.
pub(super) struct Trial {
    state: State,
    root: ClientId,
    now: Micros,
    last: Option<Micros>,
    count: u64,
}

impl Trial {
    /// An empty book as the one that is imported into.
    pub(super) fn new(target: &Target) -> Result<Self, Failure> {
        let mut state = State::new(Completeness::Everything);
        state.book_mut(BookNo::OPERATOR);
        let mut trial = Self {
            state,
            root: target.root,
            now: target.now,
            last: None,
            count: 0,
        };
        let built_in = ledger::built_in(6);
        let rlusd = target
            .assets
            .iter()
            .find(|asset| asset.name.as_str() == "RLUSD@xrpl");
        let client = NewClient {
            id: target.root,
            parent: None,
            legal_name: "root".into(),
            time_zone: "UTC".into(),
            notes: Notes::default(),
        };
        let mut actions = vec![Action::Initialise {
            rlusd_exponent: rlusd.map_or(6, |asset| asset.exponent),
        }];
        let known = |asset: &&Arc<ledger::Asset>| !built_in.iter().any(|known| known.name == asset.name);
        actions.extend(
            target
                .assets
                .iter()
                .filter(known)
                .map(|asset| Action::RegisterAsset {
                    name: asset.name,
                    exponent: asset.exponent,
                    kind: asset.kind,
                }),
        );
        actions.push(Action::CreateClient(client));
        for (nth, action) in actions.into_iter().enumerate() {
            let key = Key::named(&format!("{nth}"));
            let done = trial.decide(BookNo::OPERATOR, None, key, action, Micros(0));
            done.map_err(|what| Failure::while_doing("making a book to try the import on", what))?;
        }
        Ok(trial)
    }

    /// How many actions were taken.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Tries the next action.
    pub(super) fn take(&mut self, item: &Item, problems: &mut Problems) {
        let at = item.recorded_at.unwrap_or(self.now);
        if at > self.now {
            return problems.add(item.line, "`recordedAt` is in the future");
        }
        if self.last.is_some_and(|last| at < last) {
            return problems.add(
                item.line,
                "`recordedAt` is before that of a line before it; sort the lines by it",
            );
        }
        self.last = Some(at);
        let key = match &item.action {
            Action::Expire { hold, .. } => Key::Expiry(*hold),
            action => key_of(action, item.line),
        };
        match self.decide(BOOK, Some(self.root), key, item.action.clone(), at) {
            Ok(()) => self.count += 1,
            Err(what) => problems.add(item.line, what),
        }
    }

    fn decide(
        &mut self,
        book: BookNo,
        client: Option<ClientId>,
        key: Key,
        action: Action<Plain>,
        stamp: Micros,
    ) -> Result<(), String> {
        let command = Command {
            book,
            // An expiry is the server's own.
            client: client.filter(|_| !matches!(key, Key::Expiry(_))),
            key,
            fingerprint: Fingerprint::default(),
            stamp,
            action: action.seal(Subject::OPERATOR, &mut Blank),
        };
        match decide(&self.state, &command) {
            Decision::Decided(decided) => {
                let record = decided.into_record(command);
                if let Err(rejection) = &record.outcome {
                    return Err(refusal(rejection));
                }
                apply(&mut self.state, &Arc::new(record));
                Ok(())
            }
            Decision::Replay(_) | Decision::Conflict(_) => Err("a line before it has the same id".into()),
            Decision::ExpireFirst(holds) => {
                let holds: Vec<_> = holds.iter().map(ToString::to_string).collect();
                Err(format!(
                    "holds were over by then; put their `expiry` lines before it: {}",
                    holds.join(", ")
                ))
            }
            Decision::Nothing => Err("the hold is not over by then, or not there".into()),
            Decision::Need(_) => Err("the ledger asks for rows that no book has".into()),
        }
    }
}
