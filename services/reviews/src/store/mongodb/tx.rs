//! A transaction: the few commands that the adapter uses, in a session.

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use tokio::time::{Instant, timeout_at};

use super::client::{Mongo, Try};
use super::error::{Failure, Fault};
use super::shape;

/// Keys of one command that names documents by them. SecantusDB's time for `$in` grows with the square of their number: 1 s for
/// 1,000 keys, 0.03 s for 150. On MongoDB a further round trip costs less than looking up a hundred keys.
pub const KEYS: usize = 100;
/// Commits whose outcome is not known are asked for so often.
const COMMITS: u32 = 3;

/// Documents that one transaction writes, about: what it has written stays in the server's cache until its end.
const DOCUMENTS: usize = 1_000;

/// Items that go together into one transaction, by how many documents each of them writes. One item may be too many alone: it
/// is a piece of its own then.
pub fn pieces<T>(items: &[T], weight: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut pieces, mut from, mut sum) = (Vec::new(), 0, 0);
    for (place, item) in items.iter().enumerate() {
        let own = weight(item);
        if place > from && sum + own > DOCUMENTS {
            pieces.push(&items[from..place]);
            (from, sum) = (place, 0);
        }
        sum += own;
    }
    if from < items.len() {
        pieces.push(&items[from..]);
    }
    pieces
}

/// A transaction. Dropped, it leaves nothing; the driver tells the server then.
pub struct Tx {
    mongo: Mongo,
    session: ClientSession,
    at: Try,
}

/// How a `find` is to be.
#[derive(Debug, Clone, Default)]
pub struct Find {
    pub filter: Document,
    pub sort: Option<Document>,
    pub limit: Option<i64>,
    pub fields: Option<Document>,
}

impl Find {
    pub fn by(filter: Document) -> Self {
        Self {
            filter,
            ..Self::default()
        }
    }

    pub fn ids(ids: impl IntoIterator<Item = Bson>) -> Self {
        Self::by(doc! { "_id": { "$in": ids.into_iter().collect::<Vec<_>>() } })
    }

    pub fn sort(mut self, sort: Document) -> Self {
        self.sort = Some(sort);
        self
    }

    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    pub fn fields(mut self, fields: Document) -> Self {
        self.fields = Some(fields);
        self
    }

    /// As a command.
    pub fn command(self, collection: &str) -> Document {
        let mut command = doc! { "find": collection, "filter": self.filter, "batchSize": shape::BATCH };
        let more = [
            ("sort", self.sort.map(Bson::Document)),
            ("limit", self.limit.map(Bson::Int64)),
            ("projection", self.fields.map(Bson::Document)),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                command.insert(name, value);
            }
        }
        command
    }
}

impl Tx {
    pub(super) fn new(mongo: Mongo, session: ClientSession, at: Try) -> Self {
        Self { mongo, session, at }
    }

    /// Whether it need not step aside.
    pub fn presses_on(&self) -> bool {
        self.at.presses_on
    }

    /// Runs a command.
    pub async fn run(&mut self, command: Document) -> Result<Document, Fault> {
        let reply = self
            .mongo
            .run(command, Some(&mut self.session), self.at.until)
            .await;
        self.at.until = Instant::now() + self.at.answer;
        Ok(reply?)
    }

    /// All that a `find` finds: callers bound it.
    pub async fn find(&mut self, collection: &str, find: Find) -> Result<Vec<Document>, Fault> {
        let mut all = Vec::new();
        self.each(collection, find, |document| {
            all.push(document);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// All documents with these keys, in any order.
    pub async fn by_ids(
        &mut self,
        collection: &str,
        ids: impl IntoIterator<Item = Bson>,
        fields: Option<Document>,
    ) -> Result<Vec<Document>, Fault> {
        let (ids, mut all) = (Vec::from_iter(ids), Vec::new());
        for piece in ids.chunks(KEYS) {
            let find = Find {
                fields: fields.clone(),
                ..Find::ids(piece.iter().cloned())
            };
            all.append(&mut self.find(collection, find).await?);
        }
        Ok(all)
    }

    /// One document, or none.
    pub async fn one(&mut self, collection: &str, filter: Document) -> Result<Option<Document>, Fault> {
        Ok(self.find(collection, Find::by(filter).limit(1)).await?.pop())
    }

    /// Gives each found document to `take`, batch by batch.
    pub async fn each(
        &mut self,
        collection: &str,
        find: Find,
        mut take: impl FnMut(Document) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut next = Some(find.command(collection));
        while let Some(command) = next {
            let (batch, then) = shape::batch(self.run(command).await?)?;
            batch.into_iter().try_for_each(&mut take)?;
            next = then;
        }
        Ok(())
    }

    /// Inserts; none may be there.
    pub async fn insert(&mut self, collection: &str, documents: Vec<Document>) -> Result<(), Fault> {
        if documents.is_empty() {
            return Ok(());
        }
        self.run(doc! { "insert": collection, "documents": documents })
            .await?;
        Ok(())
    }

    /// Makes changes, each `(filter, change)` to one document; with `upsert`, to a new one where there is none. Gives how many
    /// documents there were.
    pub async fn update(
        &mut self,
        collection: &str,
        changes: Vec<(Document, Document)>,
        upsert: bool,
    ) -> Result<i64, Fault> {
        if changes.is_empty() {
            return Ok(0);
        }
        let one = |(q, u)| doc! { "q": q, "u": u, "upsert": upsert };
        let updates: Vec<Document> = changes.into_iter().map(one).collect();
        let reply = self
            .run(doc! { "update": collection, "updates": updates })
            .await?;
        Ok(shape::count(&reply))
    }

    /// Deletes the documents with these keys; callers bound it. Gives how many.
    pub async fn delete(&mut self, collection: &str, ids: &[Bson]) -> Result<i64, Fault> {
        let some = |ids: &[Bson]| doc! { "q": Find::ids(ids.iter().cloned()).filter, "limit": 0 };
        let deletes: Vec<Document> = ids.chunks(KEYS).map(some).collect();
        let reply = self
            .run(doc! { "delete": collection, "deletes": deletes })
            .await?;
        Ok(shape::count(&reply))
    }

    /// Commits. When the server's answer is lost, it is asked again; when that does not clear it up, the caller is told that the
    /// store is not available: what callers repeat is recognised.
    pub async fn commit(mut self) -> Result<(), Fault> {
        let mut unknown = false;
        for _ in 0..COMMITS {
            let failure = match self.end(true).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if failure.is_unknown_commit() && !matches!(failure, Failure::Late) {
                unknown = true;
                continue;
            }
            if unknown || failure.is_away() {
                break;
            }
            return Err(failure.into());
        }
        let told = "whether the change was made is not known; try it again";
        Err(Fault::Store(emporium_service_kit::StoreError::Unavailable(
            told.into(),
        )))
    }

    /// Ends it and leaves nothing. After reading only, that is as good as a commit and cheaper.
    pub async fn abort(mut self) -> Result<(), Fault> {
        // Who has what was read needs no answer to this; the server ends what it does not hear of again.
        let _ = self.end(false).await;
        Ok(())
    }

    async fn end(&mut self, commit: bool) -> Result<(), Failure> {
        let operation = if commit {
            "commitTransaction"
        } else {
            "abortTransaction"
        };
        let (until, session) = (self.at.until, &mut self.session);
        let work = async {
            let ended = timeout_at(until, async {
                if commit {
                    session.commit_transaction().await
                } else {
                    session.abort_transaction().await
                }
            });
            ended.await.map_err(|_| Failure::Late)?.map_err(Failure::from)
        };
        self.mongo.observed(operation, operation, |()| 0, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_everything_in_order_and_few_documents_each() {
        let of = |weights: &[usize]| {
            let pieces = pieces(weights, |weight| *weight);
            assert_eq!(pieces.concat(), weights);
            pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [0_usize; 0]);
        assert_eq!(of(&vec![1; 2_500]), [1_000, 1_000, 500]);
        assert_eq!(of(&[600, 400, 1, 5_000, 2, 998]), [2, 1, 1, 2]);
        assert_eq!(of(&[5_000]), [1]);
    }
}
