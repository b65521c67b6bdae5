//! Where a store's [`Standing`] is kept, and the journal of what was written to while it was copied.

use async_trait::async_trait;
use emporium_service_kit::StoreError;

use crate::record::Standing;

/// Swaps that are tried before the store counts as too busy.
const SWAPS_MAX: u32 = 50;

/// A text and its version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// 0 when nothing was ever kept; grows by one with every change.
    pub version: i64,
    /// The text.
    pub text: Option<String>,
}

/// One text in a store, under compare-and-swap. Both verbs are linearizable.
#[async_trait]
pub trait Register: Send + Sync {
    /// The text now.
    async fn load(&self) -> Result<Kept, StoreError>;

    /// Keeps the text at the next version, if the present one is still `version`; says whether.
    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError>;
}

/// The standing that a register has; the default where nothing was kept.
pub async fn standing(register: &dyn Register) -> Result<(i64, Standing), StoreError> {
    let kept = register.load().await?;
    let standing = match &kept.text {
        Some(text) => serde_json::from_str(text).map_err(|error| StoreError::Failed(error.into()))?,
        None => Standing::default(),
    };
    Ok((kept.version, standing))
}

/// Swaps the standing if it is still at that version; says whether.
pub async fn swap(register: &dyn Register, version: i64, next: &Standing) -> Result<bool, StoreError> {
    let text = serde_json::to_string(next).map_err(|error| StoreError::Failed(error.into()))?;
    register.swap(version, &text).await
}

/// Changes the standing; `change` is called once more on the newer one when somebody else was faster. It gives `None` to leave
/// the standing as it is.
pub async fn change<T>(
    register: &dyn Register,
    mut change: impl FnMut(&Standing) -> (Option<Standing>, T) + Send,
) -> Result<T, StoreError> {
    for _ in 0..SWAPS_MAX {
        let (version, before) = standing(register).await?;
        match change(&before) {
            (None, given) => return Ok(given),
            (Some(after), given) if after == before => return Ok(given),
            (Some(after), given) => {
                if swap(register, version, &after).await? {
                    return Ok(given);
                }
            }
        }
    }
    Err(StoreError::Unavailable(
        "the record of the move is changed by others all the time".into(),
    ))
}

/// A key that was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The key.
    pub key: String,
    /// How many times so far.
    pub times: i64,
}

/// What was written to while its store was copied. A write is marked after it was made and before it is acknowledged, so that a
/// mark that is copied and then forgotten was copied with its write: one that came meanwhile has raised [`Mark::times`].
#[async_trait]
pub trait Journal: Send + Sync {
    /// Marks these keys.
    async fn note(&self, keys: &[String]) -> Result<(), StoreError>;

    /// Some marks, at most about `max`; none only if there are none. Where one record belongs to another, as a vote to its review,
    /// they come in the order of keys.
    async fn noted(&self, max: usize) -> Result<Vec<Mark>, StoreError>;

    /// Forgets the marks whose keys were not written to since.
    async fn forget(&self, marks: &[Mark]) -> Result<(), StoreError>;

    /// How many keys are marked.
    async fn count(&self) -> Result<i64, StoreError>;

    /// Forgets all.
    async fn clear(&self) -> Result<(), StoreError>;
}
