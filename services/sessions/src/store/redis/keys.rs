//! The names of keys. The part in braces is the hash tag, by which Redis Cluster picks the slot.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::store::record::{RecordKey, hash_of, token_of};
use crate::token::{Hash, Partition, TokenHash};

/// Characters of a SHA-256 in base64url.
const HASH_CHARS: usize = 43;

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It holds what is moved.
    Record(RecordKey),
    /// It follows from what is moved, or begins anew.
    Helper,
}

/// Names below one prefix. Services, or tests, that share a server have different ones.
#[derive(Debug, Clone)]
pub struct Keys {
    namespace: String,
}

impl Keys {
    /// Names that begin with `namespace`.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
        }
    }

    /// The last stamp.
    pub fn stamp(&self) -> String {
        format!("{}:stamp", self.namespace)
    }

    /// What is noted for the comparison with the users' history.
    pub fn note(&self) -> String {
        format!("{}:rebuild", self.namespace)
    }

    /// What precedes a token's hash in the key of its session.
    pub fn session_prefix(&self, partition: Partition) -> String {
        let mut key = String::with_capacity(self.namespace.len() + 16 + HASH_CHARS);
        self.tagged(&mut key, partition);
        key.push_str("session:");
        key
    }

    /// A session.
    pub fn session(&self, token: TokenHash) -> String {
        let mut key = self.session_prefix(token.partition);
        URL_SAFE_NO_PAD.encode_string(token.hash.0, &mut key);
        key
    }

    /// What is known of a user: the last revocation, and the version of the last news.
    pub fn account(&self, user_id: Uuid) -> String {
        self.of_user("account:", user_id)
    }

    /// The user's sessions.
    pub fn logins(&self, user_id: Uuid) -> String {
        self.of_user("logins:", user_id)
    }

    /// Failed logins for an address.
    pub fn failures(&self, email: Hash) -> String {
        format!("{}:{{{}}}:failures", self.namespace, text(email))
    }

    /// Attempts to log in whose outcome is not known yet.
    pub fn attempts(&self, email: Hash) -> String {
        format!("{}:{{{}}}:attempts", self.namespace, text(email))
    }

    /// Matches every key of the namespace.
    pub fn pattern(&self) -> String {
        format!("{}:*", self.namespace)
    }

    /// What a key of the namespace is; none when it is not this store's, as the record of a move.
    pub fn kind(&self, key: &str) -> Option<Kind> {
        let rest = key.strip_prefix(&self.namespace)?.strip_prefix(':')?;
        let Some((tag, rest)) = rest.strip_prefix('{').and_then(|rest| rest.split_once("}:")) else {
            return match rest {
                "rebuild" => Some(Kind::Record(RecordKey::Note)),
                "stamp" => Some(Kind::Helper),
                _ => None,
            };
        };
        let record = match rest.split_once(':') {
            Some(("session", hash)) => token_of(tag, hash).map(RecordKey::Session),
            Some(("account", id)) => Uuid::try_parse(id).ok().map(RecordKey::Account),
            Some(("logins", _)) => return Some(Kind::Helper),
            None if rest == "failures" => hash_of(tag).map(RecordKey::Failed),
            None if rest == "attempts" => hash_of(tag).map(RecordKey::Pending),
            _ => None,
        };
        record.map(Kind::Record)
    }

    fn of_user(&self, kind: &str, user_id: Uuid) -> String {
        let mut key = String::with_capacity(self.namespace.len() + 16 + 36);
        self.tagged(&mut key, Partition::of(user_id));
        key.push_str(kind);
        key.push_str(user_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        key
    }

    fn tagged(&self, key: &mut String, partition: Partition) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        key.push_str(&self.namespace);
        key.push_str(":{");
        for shift in [12, 8, 4, 0] {
            key.push(char::from(DIGITS[usize::from(partition.0 >> shift & 15)]));
        }
        key.push_str("}:");
    }
}

/// A hash as it stands in keys and sets.
pub fn text(hash: Hash) -> String {
    URL_SAFE_NO_PAD.encode(hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token;

    #[test]
    fn all_of_a_user_share_a_tag() {
        let (keys, user) = (Keys::new("sessions"), Uuid::from_u128(7));
        let token = token::generate(user).1;
        let tag = format!("sessions:{{{:04x}}}:", Partition::of(user).0);
        let user_keys = [keys.session(token), keys.account(user), keys.logins(user)];
        assert!(user_keys.iter().all(|key| key.starts_with(&tag)), "{user_keys:?}");
        assert_eq!(
            user_keys[0],
            format!("{}{}", keys.session_prefix(token.partition), text(token.hash))
        );
        assert_eq!(user_keys[1], format!("{tag}account:{user}"));
        let email = Hash::of_email("ann@example.org");
        let tag = format!("sessions:{{{}}}:", text(email));
        assert!(keys.failures(email).starts_with(&tag) && keys.attempts(email).starts_with(&tag));
    }

    #[test]
    fn keys_say_what_they_are() {
        let (keys, user) = (Keys::new("sessions"), Uuid::from_u128(7));
        let (token, email) = (token::generate(user).1, Hash::of_email("ann@example.org"));
        for (key, kind) in [
            (keys.session(token), Some(Kind::Record(RecordKey::Session(token)))),
            (keys.account(user), Some(Kind::Record(RecordKey::Account(user)))),
            (keys.failures(email), Some(Kind::Record(RecordKey::Failed(email)))),
            (
                keys.attempts(email),
                Some(Kind::Record(RecordKey::Pending(email))),
            ),
            (keys.note(), Some(Kind::Record(RecordKey::Note))),
            (keys.logins(user), Some(Kind::Helper)),
            (keys.stamp(), Some(Kind::Helper)),
            ("sessions:{moving}:standing".to_owned(), None),
            ("sessions:{moving}:journal".to_owned(), None),
            ("sessions:other".to_owned(), None),
            (format!("sessions2{}", &keys.stamp()[8..]), None),
        ] {
            assert_eq!(keys.kind(&key), kind, "{key}");
        }
    }
}
