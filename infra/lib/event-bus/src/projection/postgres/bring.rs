//! Between comparing and switching: what differed is noted, then brought over in steps.

use sqlx::types::Json;

use super::{GenerationHandler, PostgresProjection};
use crate::projection::{BuildError, Comparison, Work};

impl<H: GenerationHandler> PostgresProjection<H> {
    /// Notes what differed, then has the handler bring it all over.
    pub(super) async fn bring_all_over(
        &self,
        work: &Work,
        comparison: Option<&Comparison>,
    ) -> Result<(), BuildError> {
        if let Some(comparison) = comparison {
            self.note_comparison(work, comparison).await?;
        }
        while self.bring_over(work).await? {}
        Ok(())
    }

    /// Has the handler bring over a piece; whether there is more.
    async fn bring_over(&self, work: &Work) -> Result<bool, BuildError> {
        let mut tx = self.db.begin().await?;
        let live: Option<i16> = sqlx::query_scalar(self.sql.hold())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .bind(work.lease.as_secs_f64())
            .fetch_optional(&mut tx)
            .await?;
        let live = live.ok_or(BuildError::Lost)?;
        let more = self.handler.bring_over(live, 1 - live, &mut tx).await?;
        tx.commit().await?;
        Ok(more)
    }

    /// What comparing gave a member that died before the switch.
    pub(super) async fn compared(&self, work: &Work) -> Result<Option<Comparison>, BuildError> {
        let noted: Option<Json<Comparison>> = sqlx::query_scalar(self.sql.compared())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .fetch_optional(&self.db)
            .await?;
        Ok(noted.map(|noted| noted.0))
    }

    async fn note_comparison(&self, work: &Work, comparison: &Comparison) -> Result<(), BuildError> {
        let held: Option<i16> = sqlx::query_scalar(self.sql.note_comparison())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .bind(Json(comparison))
            .fetch_optional(&self.db)
            .await?;
        held.map(|_| ()).ok_or(BuildError::Lost)
    }
}
