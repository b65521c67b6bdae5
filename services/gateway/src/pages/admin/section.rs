//! Parts of pages that one service adds: each says by itself why it is missing.

use std::time::Duration;

use emporium_service_kit::Problem;
use emporium_service_kit::client::CallError;
use tokio::time::timeout;

use crate::pages::errors;

/// How long a page waits for a report: a little longer than a report may take, so that the circuit breaker learns of it.
const WAIT: Duration = Duration::from_millis(4_500);

/// A part of a page, or words about its absence.
pub type Section<T> = Result<T, String>;

/// Asks for a part.
pub async fn section<T>(
    service: &'static str,
    call: impl Future<Output = Result<T, CallError>>,
) -> Section<T> {
    let error = match timeout(WAIT, call).await {
        Ok(Ok(part)) => return Ok(part),
        Ok(Err(error)) => {
            let words = error.to_string();
            // As the API would answer: what is between services only is no refusal.
            let problem = Problem::from(error);
            if problem.status.is_client_error() {
                tracing::warn!(service, code = %problem.code, "page without this part: refused");
                return Err(format!("This cannot be shown: {}", problem.detail));
            }
            words
        }
        Err(_) => "it took too long".to_owned(),
    };
    tracing::warn!(service, error, "page without this part");
    let part = errors::part(service);
    Err(format!(
        "{part} does not answer just now, so this part is missing."
    ))
}
