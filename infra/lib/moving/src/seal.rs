//! The URL of a store, for the record of a move: readable by the service's own instances only.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce, under a key made from the service's secret. So whoever reads the store
//! does not learn the password of the other one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emporium_service_kit::auth::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// What the key is for: one secret is never the same key twice.
const PURPOSE: &[u8] = b"emporium: where a store was moved to\0";

/// Why a text could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The machine gives no randomness, or refuses the cipher.
    #[error("a URL cannot be sealed on this machine")]
    Seal,
    /// It was sealed with another secret, or changed.
    #[error(
        "the record of the move cannot be read with this service's secret; was the secret changed since?"
    )]
    Open,
}

/// Seals texts with a service's secret.
pub struct Sealer(LessSafeKey);

impl Sealer {
    /// With this secret.
    pub fn new(secret: &Secret) -> Result<Self, SealError> {
        let mut hash = Sha256::new();
        hash.update(PURPOSE);
        hash.update(secret.expose().as_bytes());
        let key = UnboundKey::new(&CHACHA20_POLY1305, &hash.finalize()).map_err(|_| SealError::Seal)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// The text, sealed: base64url of nonce, ciphertext and tag. `name` has to be given again to open it.
    pub fn seal(&self, text: &str, name: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::Seal)?;
        let mut sealed = text.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Seal)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.to_vec(), sealed].concat()))
    }

    /// The text that was sealed under `name`.
    pub fn open(&self, sealed: &str, name: &str) -> Result<String, SealError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::Open)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Open)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
        let mut rest = rest.to_vec();
        let text = self
            .0
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut rest)
            .map_err(|_| SealError::Open)?;
        String::from_utf8(text.to_vec()).map_err(|_| SealError::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_opens_it() {
        let (secret, other) = (Secret::generate(), Secret::generate());
        let sealer = Sealer::new(&secret).unwrap();
        let sealed = sealer.seal("redis://:pass@h:1/2", "carts").unwrap();
        assert!(!sealed.contains("pass"));
        assert_ne!(sealed, sealer.seal("redis://:pass@h:1/2", "carts").unwrap());
        let again = Sealer::new(&secret).unwrap();
        assert_eq!(again.open(&sealed, "carts").unwrap(), "redis://:pass@h:1/2");
        assert!(again.open(&sealed, "sessions").is_err());
        assert!(Sealer::new(&other).unwrap().open(&sealed, "carts").is_err());
        for bad in ["", "AAAA", &sealed[1..], "ü"] {
            assert!(again.open(bad, "carts").is_err(), "{bad}");
        }
    }
}
