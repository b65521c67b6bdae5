//! The committed documents are what the code says. `EMPORIUM_UPDATE=1` writes them anew.

use emporium_reviews::events::{ReviewAnswered, ReviewChanged, ReviewHidden, ReviewPosted, ReviewShown};
use emporium_service_kit::ServiceName;
use emporium_test_kit::schemas::{check_event, check_service};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn the_documents_are_committed() {
    let peers = [ServiceName::Orders, ServiceName::Users, ServiceName::Reviews];
    check_service(FOLDER, ServiceName::Reviews, &peers, emporium_reviews::build).await;
    check_event::<ReviewPosted>(FOLDER);
    check_event::<ReviewChanged>(FOLDER);
    check_event::<ReviewHidden>(FOLDER);
    check_event::<ReviewShown>(FOLDER);
    check_event::<ReviewAnswered>(FOLDER);
}
