//! Workloads that only read: what is asked, and that the answers agree.

use std::sync::Arc;

use anyhow::ensure;

use super::compare::{Call, Order, Side, Workload};
use super::places::Place;
use super::prepare::{check, record, replay};

/// Asks for number so-and-so and gives the answer as text, by which adapters are compared.
pub type Ask =
    Arc<dyn Fn(usize) -> futures::future::BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// Questions of a kind, to the measured store and to the one behind the recorder.
pub struct Questions {
    /// What is done.
    pub work: &'static str,
    /// Different ones.
    pub count: usize,
    /// To the store.
    pub direct: Ask,
    /// The same through the recorder.
    pub recorded: Ask,
}

/// The answers so far, by work: those of the first adapter.
#[derive(Default)]
pub struct Answers(std::collections::HashMap<(&'static str, usize), Vec<String>>);

impl Answers {
    /// Fails unless an adapter before has told the same.
    pub fn agree(&mut self, work: &'static str, size: usize, told: &[String]) -> anyhow::Result<()> {
        let first = self.0.entry((work, size)).or_insert_with(|| told.to_vec());
        for (told, first) in told.iter().zip(first.iter()) {
            ensure!(
                told == first,
                "DIFFERENT ANSWER to {work}: {told} instead of {first}"
            );
        }
        Ok(())
    }
}

/// A workload of questions, after everything was checked.
pub async fn workload(
    place: &Place,
    size: usize,
    asked: Questions,
    answers: &mut Answers,
) -> anyhow::Result<Workload> {
    // Through the recorder, so that its connection has prepared everything before anything is recorded.
    let mut told = Vec::new();
    for number in 0..asked.count {
        told.push((asked.recorded)(number).await?);
    }
    answers.agree(asked.work, size, &told)?;
    let exchanges = record(place, asked.count, |number| {
        let asking = (asked.recorded)(number);
        async move { asking.await.map(drop) }
    })
    .await?;
    check(place, &exchanges, true).await?;
    let direct = asked.direct;
    let adapter: Side = Arc::new(move |_, number| -> Call {
        let asking = direct(number);
        Box::pin(async move { asking.await.map(drop) })
    });
    let bare = replay(&place.bare, exchanges);
    Ok(place.workload(asked.work, size, adapter, bare, Order::Cycle(asked.count)))
}
