//! Signing up, in and out; who is who.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::*;

fn new_session() -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({
        "token": "new-token", "user_id": CUSTOMER, "role": "customer", "expires_at": AT,
    }))
}

fn credentials() -> Value {
    json!({ "email": "ada@example.com", "password": "correct horse" })
}

#[tokio::test]
async fn signing_up_shows_the_public_part_of_the_account() {
    let shop = Shop::open().await;
    let created = ResponseTemplate::new(201).set_body_json(user(CUSTOMER, "ada"));
    answers(&shop.users, "POST", "/users", created).await;
    let body = json!({ "email": "ada@example.com", "password": "correct horse", "name": "Ada" });
    let reply = shop.guest().post("/api/users", &body).await;
    assert_eq!(reply.headers["location"], "/api/me");
    assert_eq!(
        reply.expect(201),
        json!({ "id": CUSTOMER, "email": "ada@example.com", "name": "ada", "points": 12, "preferences": { "theme": "dark" } })
    );
    let sent: Value = requests(&shop.users, "POST", "/users").await[0]
        .body_json()
        .unwrap();
    assert_eq!(sent, body);
    // Nobody makes himself an administrator.
    let reply = shop
        .guest()
        .post(
            "/api/users",
            json!({ "email": "a@b.example", "password": "correct horse", "name": "A", "role": "admin" }),
        )
        .await;
    reply.expect_problem(400, "bad-json");
    shop.users.reset().await;
    answers(&shop.users, "POST", "/users", problem(409, "email-taken")).await;
    shop.guest()
        .post("/api/users", &body)
        .await
        .expect_problem(409, "email-taken");
}

#[tokio::test]
async fn signing_in_answers_token_and_cookie_and_merges_the_anonymous_cart() {
    let shop = Shop::open().await;
    let anonymous = uuid::Uuid::new_v4();
    answers(&shop.sessions, "POST", "/sessions", new_session()).await;
    let merge = format!("/carts/user/{CUSTOMER}/merge");
    answers(&shop.carts, "POST", &merge, ok(&cart(2, &[]))).await;

    let reply = shop.guest().post("/api/sessions", credentials()).await;
    let set = cookies(&reply);
    assert_eq!(
        set["session"],
        "session=new-token; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"
    );
    assert!(!set.contains_key("cart"));
    assert_eq!(
        reply.expect(201),
        json!({ "token": "new-token", "expires_at": AT })
    );
    assert!(
        requests(&shop.carts, "POST", &merge).await.is_empty(),
        "there was no cart"
    );

    let cookie = format!("other=1; cart={anonymous}");
    let both = [("cookie", cookie), ("x-cart-id", anonymous.to_string())];
    for (name, value) in both {
        shop.carts.reset().await;
        answers(&shop.carts, "POST", &merge, ok(&cart(2, &[]))).await;
        let reply = shop
            .send("POST", "/api/sessions", &[(name, &value)], Some(credentials()))
            .await;
        assert!(cookies(&reply)["cart"].contains("Max-Age=0"), "{name}");
        reply.expect(201);
        let merged = requests(&shop.carts, "POST", &merge).await;
        assert_eq!(merged.len(), 1, "{name}");
        assert_eq!(
            merged[0].body_json::<Value>().unwrap(),
            json!({ "anonymous_id": anonymous })
        );
    }
}

#[tokio::test]
async fn a_cart_that_could_not_be_merged_at_sign_in_is_merged_at_the_next_look() {
    let shop = Shop::open().await;
    let cookie = format!("cart={}", uuid::Uuid::new_v4());
    answers(&shop.sessions, "POST", "/sessions", new_session()).await;
    goes_away(&shop.carts).await;
    let reply = shop
        .send(
            "POST",
            "/api/sessions",
            &[("cookie", &cookie)],
            Some(credentials()),
        )
        .await;
    assert!(!cookies(&reply).contains_key("cart"), "the browser keeps the id");
    reply.expect(201);

    let bearer = format!("Bearer {CUSTOMER_TOKEN}");
    let signed_in = [("cookie", cookie.as_str()), ("authorization", bearer.as_str())];
    let reply = shop.send("GET", "/api/cart", &signed_in, None).await;
    assert!(!cookies(&reply).contains_key("cart"));
    assert_eq!(
        reply.expect_problem(503, "service-unavailable")["service"],
        "carts"
    );

    shop.carts.reset().await;
    let merge = format!("/carts/user/{CUSTOMER}/merge");
    answers(&shop.carts, "POST", &merge, ok(&cart(7, &[(id(1), 3)]))).await;
    let batch = json!({ "items": [product(id(1), "Mug", 250, 5)] });
    answers(&shop.catalog, "POST", "/products/batch", ok(&batch)).await;
    let reply = shop.send("GET", "/api/cart", &signed_in, None).await;
    assert!(cookies(&reply)["cart"].contains("Max-Age=0"));
    let view = reply.expect(200);
    assert_eq!(
        (&view["revision"], &view["total"]["amount"]),
        (&json!(7), &json!(750))
    );
}

#[tokio::test]
async fn what_did_not_fit_at_the_merge_is_told() {
    let shop = Shop::open().await;
    let session = format!("Bearer {CUSTOMER_TOKEN}");
    let cookie = format!("cart={}", uuid::Uuid::new_v4());
    let mut merged = cart(3, &[(id(1), 999)]);
    let left = json!([{ "product_id": id(1), "quantity": 2 }]);
    merged["dropped"] = left.clone();
    answers(&shop.sessions, "POST", "/sessions", new_session()).await;
    answers(
        &shop.carts,
        "POST",
        &format!("/carts/user/{CUSTOMER}/merge"),
        ok(&merged),
    )
    .await;
    let removed = format!("/carts/user/{CUSTOMER}/items/{}", id(1));
    answers(&shop.carts, "DELETE", &removed, ok(&cart(4, &[]))).await;

    let signed_in = shop
        .send(
            "POST",
            "/api/sessions",
            &[("cookie", &cookie)],
            Some(credentials()),
        )
        .await;
    assert_eq!(signed_in.expect(201)["dropped"], left);
    let headers = [("authorization", session.as_str()), ("cookie", cookie.as_str())];
    let looked = shop.send("GET", "/api/cart", &headers, None).await;
    assert_eq!(looked.expect(200)["dropped"], left);
    let at = format!("/api/cart/items/{}", id(1));
    let changed = shop.send("DELETE", &at, &headers, None).await;
    assert_eq!(changed.expect(200)["dropped"], left);
}

#[tokio::test]
async fn a_cart_that_is_refused_does_not_lock_the_customer_out() {
    let shop = Shop::open().await;
    let merge = format!("/carts/user/{CUSTOMER}/merge");
    answers(&shop.carts, "POST", &merge, problem(422, "cart-full")).await;
    answers(
        &shop.carts,
        "GET",
        &format!("/carts/user/{CUSTOMER}"),
        ok(&cart(1, &[])),
    )
    .await;
    let bearer = format!("Bearer {CUSTOMER_TOKEN}");
    let cookie = format!("cart={}", uuid::Uuid::new_v4());
    let headers = [("authorization", bearer.as_str()), ("cookie", cookie.as_str())];
    let reply = shop.send("GET", "/api/cart", &headers, None).await;
    assert!(!cookies(&reply).contains_key("cart"), "nothing is thrown away");
    reply.expect(200);
}

#[tokio::test]
async fn refusals_of_the_sessions_service_pass_through() {
    let shop = Shop::open().await;
    for (status, code) in [
        (401, "wrong-credentials"),
        (403, "user-blocked"),
        (429, "too-many-attempts"),
    ] {
        shop.sessions.reset().await;
        let answer = problem(status, code).insert_header("retry-after", "120");
        answers(&shop.sessions, "POST", "/sessions", answer).await;
        let reply = shop.guest().post("/api/sessions", credentials()).await;
        assert_eq!(reply.headers["retry-after"], "120");
        assert!(cookies(&reply).is_empty());
        reply.expect_problem(status, code);
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_and_clears_the_cookie() {
    let shop = Shop::open().await;
    let gone = ResponseTemplate::new(204);
    answers(&shop.sessions, "POST", "/sessions/revoke", gone.clone()).await;
    answers(
        &shop.sessions,
        "DELETE",
        &format!("/users/{CUSTOMER}/sessions"),
        gone,
    )
    .await;
    let cookie = format!("session={CUSTOMER_TOKEN}");
    for at in ["/api/sessions/current", "/api/sessions"] {
        let reply = shop.send("DELETE", at, &[("cookie", &cookie)], None).await;
        assert_eq!(reply.status, 204, "{at}");
        assert!(
            cookies(&reply)["session"].starts_with("session=; ")
                && cookies(&reply)["session"].contains("Max-Age=0")
        );
    }
    let revoked = requests(&shop.sessions, "POST", "/sessions/revoke").await;
    assert_eq!(
        revoked[0].body_json::<Value>().unwrap(),
        json!({ "token": CUSTOMER_TOKEN })
    );
    let everywhere = format!("/users/{CUSTOMER}/sessions");
    assert_eq!(requests(&shop.sessions, "DELETE", &everywhere).await.len(), 1);
}

#[tokio::test]
async fn forged_and_expired_tokens_are_nobody() {
    let shop = Shop::open().await;
    let long = format!("Bearer {}", "a".repeat(5_000));
    for value in [
        "Bearer forged",
        "Bearer ",
        "Basic YTpi",
        "Bearer a b",
        "Bearer \u{e9}",
        "nonsense",
        &long,
    ] {
        for at in ["/api/me", "/api/cart"] {
            let reply = shop.send("GET", at, &[("authorization", value)], None).await;
            assert!(
                reply.headers["www-authenticate"]
                    .to_str()
                    .unwrap()
                    .starts_with("Bearer")
            );
            reply.expect_problem(401, "sign-in-required");
        }
    }
    // What cannot be a token is not even asked about: only "forged" was, once for each address.
    assert_eq!(
        requests(&shop.sessions, "POST", "/sessions/lookup").await.len(),
        2
    );

    // A cookie may be left over: it is nobody where nobody is needed, and 401 where somebody is.
    let left_over = [("cookie", "session=over")];
    shop.send("GET", "/api/me", &left_over, None)
        .await
        .expect_problem(401, "sign-in-required");
    shop.send("GET", "/api/cart", &left_over, None).await.expect(200);
    // A wrong bearer token does not fall back to a good cookie.
    let cookie = format!("session={CUSTOMER_TOKEN}");
    let both = [("cookie", cookie.as_str()), ("authorization", "Bearer forged")];
    shop.send("GET", "/api/me", &both, None)
        .await
        .expect_problem(401, "sign-in-required");
}

#[tokio::test]
async fn one_s_own_account_and_address_book() {
    let shop = Shop::open().await;
    let me = format!("/users/{CUSTOMER}");
    answers(&shop.users, "GET", &me, ok(&user(CUSTOMER, "ada"))).await;
    answers(&shop.users, "PATCH", &me, ok(&user(CUSTOMER, "grace"))).await;
    let account = shop.customer().get("/api/me").await.expect(200);
    let mut keys: Vec<&String> = account.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["email", "id", "name", "points", "preferences"]);
    let change = json!({ "preferences": { "theme": null, "size": 3 } });
    shop.customer().patch("/api/me", &change).await.expect(200);
    let sent: Value = requests(&shop.users, "PATCH", &me).await[0].body_json().unwrap();
    assert_eq!(sent, change, "null reaches the owner: it removes a setting");

    let address = json!({ "id": id(5), "street": "1 High Street", "city": "Leeds", "postal_code": "LS1",
        "country": "GB", "is_default": true, "version": 4 });
    let book = format!("{me}/addresses");
    answers(
        &shop.users,
        "GET",
        &book,
        ok(&json!({ "items": [address], "next_cursor": null })),
    )
    .await;
    let created = ResponseTemplate::new(201).set_body_json(&address);
    answers(&shop.users, "POST", &book, created).await;
    answers(
        &shop.users,
        "PUT",
        &format!("{book}/{}/default", id(5)),
        ok(&address),
    )
    .await;
    answers(
        &shop.users,
        "DELETE",
        &format!("{book}/{}", id(5)),
        ResponseTemplate::new(204),
    )
    .await;
    answers(
        &shop.users,
        "PUT",
        &format!("{book}/{}", id(6)),
        problem(404, "not-found"),
    )
    .await;
    let list = shop.customer().get("/api/me/addresses").await.expect(200);
    assert_eq!(
        (&list["items"][0]["id"], &list["next_cursor"]),
        (&json!(id(5)), &Value::Null)
    );
    assert!(list["items"][0].get("version").is_none());
    let typed = json!({ "street": "1 High Street", "city": "Leeds", "postal_code": "LS1", "country": "GB" });
    let reply = shop.customer().post("/api/me/addresses", &typed).await;
    assert_eq!(
        reply.headers["location"].to_str().unwrap(),
        format!("/api/me/addresses/{}", id(5))
    );
    reply.expect(201);
    let at = |number: u128, rest: &str| format!("/api/me/addresses/{}{rest}", id(number));
    shop.customer()
        .put(&at(5, "/default"), json!({}))
        .await
        .expect(200);
    shop.customer()
        .put(&at(6, ""), &typed)
        .await
        .expect_problem(404, "not-found");
    shop.customer().delete(&at(5, "")).await.expect(204);
}

#[tokio::test]
async fn an_address_can_be_sent_back_as_it_was_read_and_nobody_chooses_its_id() {
    let shop = Shop::open().await;
    let mut address = json!({ "id": id(5), "street": "1 High Street", "city": "Leeds", "postal_code": "LS1",
        "country": "GB", "is_default": true });
    let one = format!("/users/{CUSTOMER}/addresses/{}", id(5));
    answers(&shop.users, "PUT", &one, ok(&address)).await;
    let at = format!("/api/me/addresses/{}", id(5));
    assert_eq!(shop.customer().put(&at, &address).await.expect(200), address);
    let sent = &requests(&shop.users, "PUT", &one).await[0];
    assert!(sent.body_json::<Value>().unwrap().get("id").is_none());
    let own = shop.customer().post("/api/me/addresses", &address).await;
    assert_eq!(own.expect_problem(422, "invalid")["errors"][0]["field"], "id");
    address["id"] = json!(id(6));
    let other = shop.customer().put(&at, &address).await;
    assert_eq!(other.expect_problem(422, "invalid")["errors"][0]["field"], "id");
    assert_eq!(shop.users.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_the_sessions_service_nobody_is_mistaken_for_somebody() {
    let shop = Shop::open().await;
    goes_away(&shop.sessions).await;
    let list = json!({ "items": [], "facets": {}, "total": 0, "next_cursor": null });
    answers(&shop.catalog, "GET", "/products", ok(&list)).await;
    let cookie = format!("session={CUSTOMER_TOKEN}");
    for at in ["/api/me", "/api/cart", "/api/admin/orders"] {
        let reply = shop.send("GET", at, &[("cookie", &cookie)], None).await;
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(
            reply.expect_problem(503, "service-unavailable")["service"],
            "sessions"
        );
    }
    shop.send("GET", "/api/products", &[("cookie", &cookie)], None)
        .await
        .expect(200);
    shop.send("GET", "/api/cart", &[], None).await.expect(200);
}
