//! Cursor paging: opaque cursors, bounded pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// The most items a page may have.
pub const LIMIT_MAX: u32 = 100;
/// The items a page has when nothing is asked for.
pub const LIMIT_DEFAULT: u32 = 20;
/// The most ids a batch look-up takes.
pub const BATCH_MAX: usize = 200;

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items of this page, in order.
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page from up to `limit + 1` items: the surplus one shows that there is more, and the last one kept gives
    /// the cursor.
    pub fn from_surplus<K: Serialize>(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next_cursor = if more {
            items.last().map(|item| encode_cursor(&key(item)))
        } else {
            None
        };
        Self { items, next_cursor }
    }

    /// A list that is always whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }
}

/// `?cursor=&limit=` of every list.
#[derive(Debug, Clone, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where to go on, from the page before.
    #[garde(length(max = 1024))]
    pub cursor: Option<String>,
    /// How many items, 1 to 100; 20 when absent.
    #[garde(range(min = 1, max = LIMIT_MAX))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

impl PageQuery {
    /// The page size, always within bounds.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }

    /// The position that the cursor stands for: 400 when it cannot be read.
    pub fn position<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        self.cursor.as_deref().map(decode_cursor).transpose()
    }
}

/// `{"ids":[…]}` of every batch look-up.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
pub struct BatchRequest {
    /// At most 200 ids; unknown ones are left out of the answer.
    #[garde(length(max = BATCH_MAX))]
    pub ids: Vec<uuid::Uuid>,
}

/// `{"items":[…]}` of every batch look-up.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Batch<T> {
    /// The things found, in no promised order.
    pub items: Vec<T>,
}

/// A key as an opaque cursor.
pub fn encode_cursor<K: Serialize>(key: &K) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

/// The key inside an opaque cursor: 400 when it was not made by [`encode_cursor`].
pub fn decode_cursor<K: DeserializeOwned>(cursor: &str) -> Result<K, Problem> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| {
            Problem::bad_request(
                "bad-cursor",
                "The cursor cannot be read; start again without one.",
            )
        })
}
