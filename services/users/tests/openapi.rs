//! The committed documents are what the code says.

use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError};
use emporium_test_kit::schemas::{check_event, check_openapi};
use emporium_test_kit::{Keys, TestService};
use emporium_users::events;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_openapi_document_is_committed() {
    let build = async |environment: &Environment| -> Result<Service, StartError> {
        let service = emporium_users::build(environment).await?;
        check_openapi(FOLDER, &service);
        Ok(service)
    };
    TestService::start(ServiceName::Users, &Keys::default(), &[], Clock::System, build)
        .await
        .stop()
        .await;
}

#[test]
fn event_schemas_are_committed_and_only_gain_fields() {
    check_event::<events::UserRegistered>(FOLDER);
    check_event::<events::UserUpdated>(FOLDER);
    check_event::<events::AddressChanged>(FOLDER);
    check_event::<events::PointsPending>(FOLDER);
    check_event::<events::PointsConfirmed>(FOLDER);
    check_event::<events::PointsCancelled>(FOLDER);
}
