//! What records are called.

use emporium_service_kit::StoreError;
use uuid::Uuid;

/// What identifies a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum RecordKey {
    /// The review of an author and a product, in this order. No record is called so: it stands for a review whose id whoever
    /// posted it does not know, because the store's answer was lost.
    Own(Uuid, Uuid),
    /// A review.
    Review(Uuid),
    /// Of a review, by a voter. In the order of texts it comes after its review.
    Vote(Uuid, Uuid),
    /// The event at a position.
    Event(i64),
    /// How far publishing is.
    Head,
}

impl RecordKey {
    /// `review:<id>`, `vote:<review>:<voter>`, `event:<position>`, `published:`, `own:<author>:<product>`.
    pub fn text(self) -> String {
        match self {
            Self::Own(author, product) => format!("own:{author}:{product}"),
            Self::Review(id) => format!("review:{id}"),
            Self::Vote(review, voter) => format!("vote:{review}:{voter}"),
            Self::Event(position) => format!("event:{position}"),
            Self::Head => "published:".to_owned(),
        }
    }

    /// From its text.
    pub fn read(text: &str) -> Result<Self, StoreError> {
        let id = |text: &str| Uuid::try_parse(text).ok();
        let two = |text: &str| {
            let (one, other) = text.split_once(':')?;
            id(one).zip(id(other))
        };
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let key = match kind {
            "own" => two(rest).map(|(author, product)| Self::Own(author, product)),
            "review" => id(rest).map(Self::Review),
            "vote" => two(rest).map(|(review, voter)| Self::Vote(review, voter)),
            "event" => rest.parse().ok().map(Self::Event),
            "published" => Some(Self::Head),
            _ => None,
        };
        key.ok_or_else(|| foreign(text))
    }
}

/// A key that is none.
pub(super) fn foreign(text: &str) -> StoreError {
    StoreError::Failed(format!("{text:?} names no record of reviews").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text_and_votes_follow_their_reviews() {
        let (one, other) = (Uuid::from_u128(u128::MAX), Uuid::nil());
        let keys = [
            RecordKey::Own(one, other),
            RecordKey::Review(one),
            RecordKey::Vote(other, one),
        ];
        let texts = keys.map(RecordKey::text);
        assert!(texts.is_sorted(), "{texts:?}");
        for key in keys.into_iter().chain([RecordKey::Event(17), RecordKey::Head]) {
            assert_eq!(RecordKey::read(&key.text()).unwrap(), key);
        }
        for text in ["", "review", "review:x", "vote:1", "event:", "cart:1"] {
            assert!(RecordKey::read(text).is_err(), "{text}");
        }
    }
}
