//! Keys of texts: made before those whose texts they seal, forgotten now and then, and what is promised of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::{Action, Command, Record, Subject};
use parking_lot::Mutex;
use store::suite::Random;
use store::{StoreError, TextKey};

use super::disk::SimDisk;
use super::{Kind, Wrong};
use crate::vault::Vault;

/// What was asked of the vault, and answered.
pub(super) struct Promised {
    random: Random,
    /// Keys whose keeping was answered.
    kept: BTreeMap<Subject, TextKey>,
    /// Whose keys are being kept, by how many.
    keeping: BTreeMap<Subject, usize>,
    /// Keys that were to be forgotten and may be there.
    leaving: BTreeSet<Subject>,
    /// Keys whose forgetting was answered.
    gone: BTreeSet<Subject>,
    pub(super) wrong: Option<String>,
}

/// Whom a command makes.
fn made_by(action: &Action) -> Option<Subject> {
    match action {
        Action::CreateClient(new) => Some(new.id.into()),
        Action::CreateCustomer(new) => Some(new.id.into()),
        _ => None,
    }
}

impl Promised {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed ^ 0x5A17),
            kept: BTreeMap::new(),
            keeping: BTreeMap::new(),
            leaving: BTreeSet::new(),
            gone: BTreeSet::new(),
            wrong: None,
        }
    }

    /// How many keys are there, and how many were forgotten.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.kept.len() as u64, self.gone.len() as u64)
    }

    fn key(&mut self) -> TextKey {
        let mut key = [0; 32];
        for part in key.chunks_mut(8) {
            part.copy_from_slice(&self.random.bits().to_le_bytes());
        }
        TextKey(key)
    }

    /// New keys for those that commands make, but for those that have one or had.
    fn wanted(&mut self, commands: &[Command]) -> Vec<(Subject, TextKey)> {
        let made = commands.iter().filter_map(|command| made_by(&command.action));
        let without = |subject: &Subject| {
            let has = self.kept.contains_key(subject);
            !has && !self.leaving.contains(subject) && !self.gone.contains(subject)
        };
        let made: BTreeSet<_> = made.filter(without).collect();
        for subject in &made {
            *self.keeping.entry(*subject).or_default() += 1;
        }
        made.into_iter().map(|subject| (subject, self.key())).collect()
    }

    fn answered(&mut self, asked: &[(Subject, TextKey)], answer: &Result<Vec<TextKey>, StoreError>) {
        for (nth, (subject, _)) in asked.iter().enumerate() {
            if let Some(count) = self.keeping.get_mut(subject) {
                *count -= 1;
            }
            let Ok(keys) = answer else { continue };
            match keys.get(nth) {
                Some(key) if self.kept.entry(*subject).or_insert(*key) == key => {}
                other => {
                    let what = format!("the key of {subject:?} was kept, and then answered as {other:?}");
                    self.wrong.get_or_insert(what);
                }
            }
        }
    }

    /// Somebody whose key nobody is keeping, to be forgotten.
    fn whom_to_forget(&mut self) -> Option<Subject> {
        let idle = |subject: &&Subject| self.keeping.get(subject).is_none_or(|count| *count == 0);
        let left: Vec<_> = self.kept.keys().filter(idle).copied().collect();
        if left.is_empty() || !self.random.percent(6) {
            return None;
        }
        let subject = self.random.pick(&left);
        self.leaving.insert(subject);
        Some(subject)
    }

    fn forgotten(&mut self, subject: Subject) {
        self.leaving.remove(&subject);
        self.gone.insert(subject);
    }

    /// Nobody waits any more.
    pub(super) fn process_ended(&mut self) {
        self.keeping.clear();
    }

    /// Checks the vault of a store that was just opened.
    pub(super) fn check(&self, vault: &Vault, disk: &SimDisk, records: &[Arc<Record>]) -> Result<(), Wrong> {
        let there: BTreeMap<_, _> = vault.all(None, usize::MAX).into_iter().collect();
        let may_lack = |subject: &Subject| self.leaving.contains(subject) || self.gone.contains(subject);
        for (subject, key) in self.kept.iter().filter(|(subject, _)| !may_lack(subject)) {
            if there.get(subject) != Some(key) {
                let what = format!("the key of {subject:?} was kept, and is not there");
                return Err(Wrong::new(Kind::Lost, what));
            }
        }
        let made = records.iter().filter(|record| record.outcome.is_ok());
        for subject in made.filter_map(|record| made_by(&record.action)) {
            if !there.contains_key(&subject) && !may_lack(&subject) {
                let what = format!("{subject:?} is recorded, and the key of its texts is not there");
                return Err(Wrong::new(Kind::Lost, what));
            }
        }
        let file = disk.content(crate::vault::NAME);
        for subject in &self.gone {
            let key = self.kept[subject];
            if there.contains_key(subject) || file.windows(key.0.len()).any(|window| window == key.0) {
                let what = format!("the key of {subject:?} was forgotten, and is there again");
                return Err(Wrong::new(Kind::Remembered, what));
            }
        }
        Ok(())
    }
}

/// Keeps the keys of those that commands make. They are submitted only when this succeeds.
pub(super) async fn keep(
    vault: &Vault,
    promised: &Mutex<Promised>,
    commands: &[Command],
) -> Result<(), StoreError> {
    let wanted = promised.lock().wanted(commands);
    if wanted.is_empty() {
        return Ok(());
    }
    let answer = vault.keep(wanted.clone()).await;
    promised.lock().answered(&wanted, &answer);
    answer.map(drop)
}

/// Forgets the key of somebody, by chance.
pub(super) async fn forget(vault: &Vault, promised: &Mutex<Promised>) -> Result<(), StoreError> {
    let Some(subject) = promised.lock().whom_to_forget() else {
        return Ok(());
    };
    vault.forget(subject).await?;
    promised.lock().forgotten(subject);
    Ok(())
}
