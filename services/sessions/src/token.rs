//! Session tokens: 256 random bits for the client, their SHA-256 for the store.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// A SHA-256: all that is kept of a token or an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a token as a client presents it; `None` for what cannot be one. Of each token there is exactly one spelling.
    pub fn of_token(text: &str) -> Option<Self> {
        let mut bits = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bits) {
            Ok(32) => Some(Self::of(&bits)),
            _ => None,
        }
    }

    /// Of an e-mail address, whatever its case.
    pub fn of_email(email: &str) -> Self {
        Self::of(email.trim().to_lowercase().as_bytes())
    }
}

/// A new token and its hash. The token has no `Debug` and is shown once, in the answer of the login.
pub fn generate() -> (String, Hash) {
    // The thread's generator is cryptographically secure and seeded by the operating system.
    let bits: [u8; 32] = rand::random();
    (URL_SAFE_NO_PAD.encode(bits), Hash::of(&bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let (token, hash) = generate();
        assert_eq!(token.len(), 43);
        assert_eq!(Hash::of_token(&token), Some(hash));
        // The last character carries four bits; its other two must be zero.
        let last = token.as_bytes()[42];
        let others = (b'!'..=b'~').filter(|other| *other != last);
        let same = others
            .filter(|other| Hash::of_token(&format!("{}{}", &token[..42], *other as char)) == Some(hash));
        assert_eq!(same.count(), 0);
        let long = "A".repeat(10_000);
        for bad in [
            "",
            "x",
            &token[..42],
            &format!("{token}="),
            &format!("{token}A"),
            &format!(" {token}"),
            &long,
            "\0",
        ] {
            assert_eq!(Hash::of_token(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn addresses_differ_not_by_case() {
        assert_eq!(
            Hash::of_email(" Ann@Example.ORG"),
            Hash::of_email("ann@example.org")
        );
        assert_ne!(
            Hash::of_email("ann@example.org"),
            Hash::of_email("anne@example.org")
        );
    }
}
