//! Session tokens: 256 random bits for the client, a SHA-256 for the store, and the partition that both name.
//!
//! A store of several machines must keep all that belongs to a user on one of them: only there can a log-out everywhere, or a
//! block, be atomic. But a look-up knows the token and not the user. So a token begins with its user's [`Partition`], 16 bits
//! of the SHA-256 of the user's id, which says where to look. They are no secret, and no part of what makes a token hard to
//! guess: that is the 256 random bits after them. The hash covers both, so a token with another partition is another token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a token: partition, then random bits.
const BYTES: usize = 2 + 32;

/// A SHA-256: all that is kept of a token or an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of an e-mail address, whatever its case.
    pub fn of_email(email: &str) -> Self {
        Self::of(email.trim().to_lowercase().as_bytes())
    }
}

/// Users of one partition are kept together. There are 65,536: four times as many as a Redis Cluster has slots, so that they
/// fill its nodes evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u16);

impl Partition {
    /// Where a user belongs.
    pub fn of(user_id: Uuid) -> Self {
        let Hash([high, low, ..]) = Hash::of(user_id.as_bytes());
        Self(u16::from_be_bytes([high, low]))
    }
}

/// What a store knows of a token: where it belongs, and its hash, which identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash {
    /// Its user's.
    pub partition: Partition,
    /// Of the whole token.
    pub hash: Hash,
}

impl TokenHash {
    fn of(token: &[u8; BYTES]) -> Self {
        let [high, low, ..] = *token;
        Self {
            partition: Partition(u16::from_be_bytes([high, low])),
            hash: Hash::of(token),
        }
    }

    /// Of a token as a client presents it; `None` for what cannot be one. Of each token there is exactly one spelling.
    pub fn of_text(text: &str) -> Option<Self> {
        let mut token = [0; BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut token) {
            Ok(BYTES) => Some(Self::of(&token)),
            _ => None,
        }
    }
}

/// A new token of this user, and its hash. The token has no `Debug` and is shown once, in the answer of the login.
pub fn generate(user_id: Uuid) -> (String, TokenHash) {
    let mut token = [0; BYTES];
    // The thread's generator is cryptographically secure and seeded by the operating system.
    rand::fill(&mut token);
    token[..2].copy_from_slice(&Partition::of(user_id).0.to_be_bytes());
    (URL_SAFE_NO_PAD.encode(token), TokenHash::of(&token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let (token, hash) = generate(Uuid::new_v4());
        assert_eq!(token.len(), 46);
        assert_eq!(TokenHash::of_text(&token), Some(hash));
        // The last character carries two bits; its other four must be zero.
        let last = token.as_bytes()[45];
        let others = (b'!'..=b'~').filter(|other| *other != last);
        let same = others
            .filter(|other| TokenHash::of_text(&format!("{}{}", &token[..45], *other as char)) == Some(hash));
        assert_eq!(same.count(), 0);
        let long = "A".repeat(10_000);
        for bad in [
            "",
            "x",
            &token[..45],
            // As long as tokens were once.
            &token[..43],
            &format!("{token}="),
            &format!("{token}A"),
            &format!(" {token}"),
            &long,
            "\0",
        ] {
            assert_eq!(TokenHash::of_text(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn tokens_of_a_user_share_the_partition_and_nothing_else() {
        let (user, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (one, two) = (generate(user).1, generate(user).1);
        assert_eq!(one.partition, Partition::of(user));
        assert_eq!(one.partition, two.partition);
        assert_ne!(one.hash, two.hash);
        assert_ne!(Partition::of(user), Partition::of(other));
        // Another partition makes another token.
        let mut token = [7; BYTES];
        let before = TokenHash::of(&token);
        token[0] = 8;
        assert_ne!(TokenHash::of(&token).hash, before.hash);
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
