//! The committed documents are what the code says. `EMPORIUM_UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used)]

use emporium_reviews::events::{ReviewAnswered, ReviewChanged, ReviewHidden, ReviewPosted, ReviewShown};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::schemas::{check_event, check_openapi};
use emporium_test_kit::{Keys, TestService};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_documents_are_committed() {
    let peers = [ServiceName::Orders, ServiceName::Users, ServiceName::Reviews]
        .map(|name| (name, "http://127.0.0.1:9".to_owned()));
    let reviews = TestService::start(
        ServiceName::Reviews,
        &Keys::default(),
        &peers,
        Clock::System,
        emporium_reviews::build,
    )
    .await;
    let mut environment = reviews.environment.clone();
    environment.metrics = emporium_service_kit::metrics::Metrics::new(ServiceName::Reviews);
    let service = emporium_reviews::build(&environment).await.unwrap();
    check_openapi(FOLDER, &service);
    check_event::<ReviewPosted>(FOLDER);
    check_event::<ReviewChanged>(FOLDER);
    check_event::<ReviewHidden>(FOLDER);
    check_event::<ReviewShown>(FOLDER);
    check_event::<ReviewAnswered>(FOLDER);
    reviews.stop().await;
}
