//! Asking the services of a running shop.

use std::time::Duration;

use emporium_service_kit::report::INSPECT_TIMEOUT;
use emporium_service_kit::{ServiceName, StoreReport};
use futures::future::join_all;

use super::{Row, reports};
use crate::Error;
use crate::operator::Operator;

/// How long a service may take to answer: as long as it gives its stores, and a little for itself.
pub(super) const TIMEOUT: Duration = INSPECT_TIMEOUT.saturating_add(Duration::from_secs(2));

/// What all services tell, asked at once.
pub(super) async fn rows(operator: &Operator) -> Result<Vec<Row>, Error> {
    let asked = ServiceName::listening().map(async |service| {
        let client = operator.client(ServiceName::Operator, service)?;
        Ok::<_, Error>(match reports(&client).await {
            Ok(reports) => reports
                .into_iter()
                .map(|report| Row::new(service, report))
                .collect(),
            Err(error) => vec![silent(service, error.to_string())],
        })
    });
    let rows: Result<Vec<Vec<Row>>, Error> = join_all(asked).await.into_iter().collect();
    Ok(rows?.into_iter().flatten().collect())
}

/// The row of a service that does not answer: nothing is known of its stores.
fn silent(service: ServiceName, error: String) -> Row {
    let mut report = StoreReport::of("store", None, "unknown");
    report.error = Some(error);
    Row::new(service, report)
}
