//! The names of keys. The part in braces is the hash tag: Redis Cluster puts all keys with the same one into the same slot,
//! so everything of one owner can be written by one script.

use uuid::Uuid;

use crate::model::{CartKey, CartKind};

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
}
