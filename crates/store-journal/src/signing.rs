//! The file with the keys that sign tokens: [`store::SigningKeys`] as bytes, written anew as a whole.
//!
//! One that is damaged is refused. One that is not there is made when the store opens: no token that was signed before works
//! then, and nothing else is lost.

use std::sync::Arc;

use ledger::Micros;
use parking_lot::{Mutex, RwLock};
use store::{SigningKey, SigningKeys, StoreError};

use crate::log::disk::{read_whole, replace_whole, write_whole};
use crate::log::{Disk, DiskError};
use crate::open::OpenError;
use crate::store_impl::OnFatal;

/// The file.
pub(crate) const NAME: &str = "signing.key";

/// The keys of an open store.
pub(crate) struct Signing {
    disk: Arc<dyn Disk>,
    keys: RwLock<Arc<SigningKeys>>,
    /// Whether the file may be written; held while it is.
    open: Mutex<bool>,
    on_fatal: OnFatal,
}

fn generate(now: Micros) -> Result<SigningKeys, OpenError> {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    for random in [&mut id[..], &mut secret[..]] {
        getrandom::fill(random).map_err(|error| OpenError::Random(error.to_string()))?;
    }
    Ok(SigningKeys::of(SigningKey::new(id, secret, now)))
}

/// Makes the file of a store that is being made, unless it is there from an earlier attempt.
pub(crate) fn create(disk: &dyn Disk, now: Micros) -> Result<(), OpenError> {
    match disk.list()?.iter().any(|name| name == NAME) {
        true => Ok(()),
        false => Ok(write_whole(disk, NAME, &generate(now)?.to_bytes())?),
    }
}

/// The keys in the file, if it is there.
pub(crate) fn read(disk: &dyn Disk) -> Result<Option<SigningKeys>, OpenError> {
    let bytes = match read_whole(disk, NAME) {
        Err(DiskError::NotFound { .. }) => return Ok(None),
        other => other?,
    };
    let keys = SigningKeys::from_bytes(&bytes).map_err(|why| {
        OpenError::SigningKeys(format!(
            "{NAME}: the signing keys {why}; remove the file: then a new key is made, and \
             whoever holds a signed token gets a new one with its API key"
        ))
    })?;
    Ok(Some(keys))
}

/// The keys that sign tokens of the store on a disk, which a server may have open.
///
/// # Errors
/// There are none, or they can't be read.
pub fn signing_keys(disk: &dyn Disk) -> Result<SigningKeys, OpenError> {
    read(disk)?.ok_or_else(|| {
        OpenError::SigningKeys(format!(
            "{NAME} is not there; start a server once, which makes a new one"
        ))
    })
}

impl Signing {
    /// Those that were found, or a new one.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        found: Option<SigningKeys>,
        now: Micros,
        on_fatal: OnFatal,
    ) -> Result<Arc<Self>, OpenError> {
        let keys = match found {
            Some(keys) => keys,
            None => {
                let keys = generate(now)?;
                write_whole(&*disk, NAME, &keys.to_bytes())?;
                tracing::warn!(
                    "{NAME} was not there; a new one was made, and no token signed before works any more"
                );
                keys
            }
        };
        Ok(Arc::new(Self {
            disk,
            keys: RwLock::new(Arc::new(keys)),
            open: Mutex::new(true),
            on_fatal,
        }))
    }

    pub(crate) fn keys(&self) -> Arc<SigningKeys> {
        Arc::clone(&self.keys.read())
    }

    /// Puts others in their place, if they are still these. Writes, so not for a thread that must not wait.
    pub(crate) fn replace(&self, old: &SigningKeys, new: SigningKeys) -> Result<bool, StoreError> {
        let open = self.open.lock();
        if !*open {
            return Err(StoreError::Closed("it takes no signing keys any more".into()));
        }
        if **self.keys.read() != *old {
            return Ok(false);
        }
        match replace_whole(&*self.disk, NAME, &new.to_bytes()) {
            Ok(()) => {
                *self.keys.write() = Arc::new(new);
                Ok(true)
            }
            Err(DiskError::NoSpace { .. }) => Err(StoreError::NoSpace),
            Err(error) => {
                // Which of the two the disk has is not known.
                (self.on_fatal)(&format!("the signing keys can't be kept: {error}"));
                Err(StoreError::Closed("a write or sync failed before".into()))
            }
        }
    }

    /// Writes nothing any more, and waits for what is being written.
    pub(crate) fn close(&self) {
        *self.open.lock() = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::SimDisk;

    /// Power is lost at every point of a replacement, and a sync, a write or space fails: the file has the old keys or the new
    /// ones, and the new ones once that was answered.
    #[test]
    fn a_replacement_is_whole_or_not_at_all() {
        let mut taken = 0;
        for seed in 0..400 {
            let medium = SimDisk::new(seed);
            create(&*medium.disk(), Micros(0)).expect("it is made");
            let find = || read(&*medium.disk()).expect("it is whole").expect("it is there");
            let old = find();
            let signing = Signing::open(
                medium.disk(),
                Some(old.clone()),
                Micros(0),
                Arc::new(|_: &str| {}),
            );
            let signing = signing.expect("it opens");
            let new = old.rotated(SigningKey::new([1; 8], [2; 32], Micros(5)), Some(Micros(9)));
            let new = new.expect("two are not too many");
            let after = Some(seed / 4);
            match seed % 4 {
                0 => medium.lose_power_after(after),
                1 => medium.fail_sync_after(after),
                2 => medium.fail_write_after(after),
                _ => medium.leave(seed / 4),
            }
            let answer = signing.replace(&old, new.clone());
            medium.lose_power();
            medium.heal();
            let found = find();
            match answer {
                Ok(done) => assert!(done && found == new, "seed {seed}"),
                Err(_) => assert!(found == old || found == new, "seed {seed}"),
            }
            taken += usize::from(found == new);
        }
        assert!((1..400).contains(&taken), "{taken} of 400 were replaced");
    }

    #[test]
    fn who_comes_late_and_who_comes_after_the_end_replaces_nothing() {
        let medium = SimDisk::new(1);
        create(&*medium.disk(), Micros(0)).expect("it is made");
        let signing =
            Signing::open(medium.disk(), None, Micros(0), Arc::new(|_: &str| {})).expect("it opens");
        let first = SigningKeys::clone(&signing.keys());
        let next = |nth| {
            first
                .rotated(SigningKey::new([nth; 8], [2; 32], Micros(5)), None)
                .expect("one")
        };
        assert_eq!(signing.replace(&first, next(1)), Ok(true));
        assert_eq!(signing.replace(&first, next(2)), Ok(false));
        signing.close();
        assert!(matches!(
            signing.replace(&next(1), next(3)),
            Err(StoreError::Closed(_))
        ));
        assert_eq!(read(&*medium.disk()).expect("it is whole"), Some(next(1)));
    }
}
