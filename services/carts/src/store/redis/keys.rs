//! The names of keys. The part in braces is the hash tag: Redis Cluster puts all keys with the same one into the same slot,
//! so everything of one owner can be written by one script.

use uuid::Uuid;

use crate::model::{CartKey, CartKind};
use crate::store::record::RecordKey;

/// Makes the names below one namespace.
pub(super) struct Keys {
    namespace: String,
}

impl Keys {
    pub(super) fn new(namespace: &str) -> Self {
        let namespace = namespace.to_owned();
        Self { namespace }
    }

    /// A cart: `carts:{u:<user>}:cart`, `carts:{a:<visitor>}:cart`.
    pub(super) fn cart(&self, key: CartKey) -> String {
        let kind = match key.kind {
            CartKind::User => 'u',
            CartKind::Anonymous => 'a',
        };
        format!("{}:{{{kind}:{}}}:cart", self.namespace, key.id)
    }

    /// The mark that a saga's purchase was taken off.
    pub(super) fn purchase(&self, user_id: Uuid, saga_id: Uuid) -> String {
        format!("{}:{{u:{user_id}}}:purchase:{saga_id}", self.namespace)
    }

    /// The receipt of a merge, beside the customer's cart.
    pub(super) fn receipt(&self, user_id: Uuid, merge_id: &str) -> String {
        format!("{}:{{u:{user_id}}}:merge:{merge_id}", self.namespace)
    }

    /// Matches every key of the namespace.
    pub(super) fn pattern(&self) -> String {
        format!("{}:{{*", self.namespace)
    }

    /// Whether a key of the namespace is a customer's or a visitor's: the record of a move is neither.
    pub(super) fn is_owners(&self, key: &str) -> bool {
        self.parts(key).is_some()
    }

    /// Which record a key holds; none for receipts of merges.
    pub(super) fn record(&self, key: &str) -> Option<RecordKey> {
        let (kind, id, rest) = self.parts(key)?;
        match rest.split_once(':') {
            None if rest == "cart" => Some(RecordKey::Cart(CartKey { kind, id })),
            Some(("purchase", saga)) => Some(RecordKey::Purchase {
                user_id: id,
                saga_id: Uuid::try_parse(saga).ok()?,
            }),
            _ => None,
        }
    }

    /// Whose a key is, and what follows.
    fn parts<'a>(&self, key: &'a str) -> Option<(CartKind, Uuid, &'a str)> {
        let rest = key.strip_prefix(&self.namespace)?.strip_prefix(":{")?;
        let (owner, rest) = rest.split_once("}:")?;
        let (kind, id) = owner.split_once(':')?;
        let kind = match kind {
            "u" => CartKind::User,
            "a" => CartKind::Anonymous,
            _ => return None,
        };
        Some((kind, Uuid::try_parse(id).ok()?, rest))
    }
}
