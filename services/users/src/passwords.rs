//! Password hashing: argon2id, off the async threads, with bounded memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;

use crate::error::Error;

/// Memory of one hash, in KiB, with [`PASSES`] and [`LANES`] one of the sets that OWASP's Password Storage Cheat Sheet
/// recommends for argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long a request waits for its turn before it is told to come back: less than its caller waits for the answer, so that
/// nothing is computed for somebody who has gone.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// A hash of these parameters that no known password gives. Verifying against it costs an unknown e-mail address the
/// same time as a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCEhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and verifies passwords, a bounded number at once.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    // Memory is lent out and taken back rather than freed: the blocking threads are many, and an allocator that keeps an
    // arena for each would hold 19 MiB for each.
    memories: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Passwords {
    /// At most `hashes_max` at once.
    pub fn new(hashes_max: u32) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(hashes_max as usize)),
            memories: Arc::default(),
        }
    }

    /// The hash to keep, in PHC format, with a new random salt.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        self.in_turn(move |memory| {
            let salt = Salt::generate();
            let params = params()?;
            let hash = derive(password.as_bytes(), &salt, &params, memory)?;
            let whole = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params)?,
                salt: Some(salt),
                hash: Some(hash),
            };
            Ok(whole.to_string())
        })
        .await
    }

    /// True when `password` belongs to `hash`. Without a hash it takes the same time and is false.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Error> {
        self.in_turn(move |memory| {
            let kept = PasswordHash::new(hash.as_deref().unwrap_or(NOBODY))?;
            let salt = kept.salt.ok_or(argon2::password_hash::Error::Internal)?;
            let given = derive(password.as_bytes(), &salt, &Params::try_from(&kept)?, memory)?;
            // `Output` compares in constant time.
            Ok(kept.hash == Some(given) && hash.is_some())
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Busy)?;
        let memories = Arc::clone(&self.memories);
        let span = tracing::debug_span!("argon2id");
        tokio::task::spawn_blocking(move || {
            let _turn = turn; // held by the work itself: a caller that goes away does not free its place early
            let _span = span.enter();
            let mut memory = lock(&memories).pop().unwrap_or_default();
            let result = work(&mut memory);
            lock(&memories).push(memory);
            result
        })
        .await
        .map_err(|error| Error::Hashing(error.to_string()))?
        .map_err(|error| Error::Hashing(error.to_string()))
    }
}

fn lock(memories: &Mutex<Vec<Vec<Block>>>) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
    memories.lock().unwrap_or_else(PoisonError::into_inner)
}

fn params() -> Result<Params, argon2::password_hash::Error> {
    Ok(Params::new(MEMORY_KIB, PASSES, LANES, None)?)
}

fn derive(
    password: &[u8],
    salt: &Salt,
    params: &Params,
    memory: &mut Vec<Block>,
) -> Result<Output, argon2::password_hash::Error> {
    memory.resize(params.block_count(), Block::new());
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()).hash_password_into_with_memory(
        password,
        salt,
        &mut out,
        memory.as_mut_slice(),
    )?;
    Ok(Output::new(&out)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;

    #[tokio::test]
    async fn hashes_are_standard_and_salted() {
        let passwords = Passwords::new(2);
        let one = passwords.hash("correct horse".to_owned()).await.unwrap();
        let two = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert_ne!(one, two);
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        // Another implementation of the same standard agrees.
        let parsed = PasswordHash::new(&one).unwrap();
        assert!(
            Argon2::default()
                .verify_password(b"correct horse", &parsed)
                .is_ok()
        );
        assert!(
            passwords
                .verify("correct horse".to_owned(), Some(one.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("correct horsf".to_owned(), Some(one))
                .await
                .unwrap()
        );
        assert!(!passwords.verify("correct horse".to_owned(), None).await.unwrap());
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_a_real_one() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        assert_eq!(
            Params::try_from(&nobody).unwrap().block_count(),
            params().unwrap().block_count()
        );
        assert_eq!(Params::try_from(&nobody).unwrap().t_cost(), PASSES);
        assert_eq!(nobody.hash.unwrap().len(), Params::DEFAULT_OUTPUT_LEN);
    }

    #[tokio::test]
    async fn memory_is_bounded_by_the_turns() {
        let passwords = Passwords::new(2);
        let many: Vec<_> = (0..6)
            .map(|n| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash(format!("password {n}")).await })
            })
            .collect();
        for hash in many {
            hash.await.unwrap().unwrap();
        }
        assert!(lock(&passwords.memories).len() <= 2);
        assert_eq!(passwords.turns.available_permits(), 2);
    }
}
