//! The API against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Keys, TestService};
use uuid::Uuid;

async fn start() -> TestService {
    TestService::start(
        ServiceName::Users,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_users::build,
    )
    .await
}

#[tokio::test]
async fn callers_need_a_token_on_the_routes_list() {
    let users = start().await;
    let path = format!("/users/{}", Uuid::new_v4());
    users
        .anonymous()
        .get(&path)
        .await
        .expect_problem(401, "service-token-required");
    users
        .as_caller(ServiceName::Payments)
        .get(&path)
        .await
        .expect_problem(403, "caller-not-allowed");
    users
        .as_caller(ServiceName::Gateway)
        .get(&path)
        .await
        .expect_problem(404, "not-found");
    let document = users.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(document["paths"]["/users/{id}"]["get"]["x-callers"][0], "gateway");
    users.anonymous().get("/health/ready").await.expect(200);
    assert!(
        users
            .anonymous()
            .get("/metrics")
            .await
            .text
            .contains("emporium_http_request_duration_seconds")
    );
    users.stop().await;
}
