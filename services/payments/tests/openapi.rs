//! The committed documents are what the code says.

use emporium_payments::events;
use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError};
use emporium_test_kit::schemas::{check_event, check_openapi};
use emporium_test_kit::{Keys, TestService};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_openapi_document_is_committed() {
    let build = async |environment: &Environment| -> Result<Service, StartError> {
        let service = emporium_payments::build(environment).await?;
        check_openapi(FOLDER, &service);
        Ok(service)
    };
    TestService::start(ServiceName::Payments, &Keys::default(), &[], Clock::System, build)
        .await
        .stop()
        .await;
}

#[test]
fn event_schemas_are_committed_and_only_gain_fields() {
    check_event::<events::PaymentSucceeded>(FOLDER);
    check_event::<events::PaymentDeclined>(FOLDER);
    check_event::<events::PaymentVoided>(FOLDER);
    check_event::<events::PaymentRefunded>(FOLDER);
}
