//! Customers whom an administrator has blocked.

use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::ResponseTemplate;

use crate::browser::{Browser, all, checked, redirect, stocked};
use crate::pages::{admin_pages, own_pages};
use crate::support::*;

#[tokio::test]
async fn the_blocked_are_told_so_and_can_look_around_and_sign_out() {
    let shop = Shop::open().await;
    let list = json!({ "items": [], "facets": {}, "total": 0, "next_cursor": null });
    answers(&shop.catalog, "GET", "/products", ok(&list)).await;
    answers(&shop.catalog, "GET", "/suggest", ok(&json!({ "items": [] }))).await;
    let (bearer, cookie) = (
        format!("Bearer {BLOCKED_TOKEN}"),
        format!("session={BLOCKED_TOKEN}"),
    );
    for session in [("authorization", &*bearer), ("cookie", &*cookie)] {
        for (verb, at) in [
            ("GET", "/api/me".to_owned()),
            ("POST", "/api/orders".to_owned()),
            ("GET", "/api/cart".to_owned()),
            ("PUT", format!("/api/cart/items/{}", id(1))),
            ("DELETE", format!("/api/cart/items/{}", id(1))),
        ] {
            let reply = shop
                .send(verb, &at, &[session], Some(json!({ "quantity": 1 })))
                .await;
            assert!(cookies(&reply).is_empty(), "the session stays, for an unblocking");
            reply.expect_problem(403, "user-blocked");
        }
        for at in ["/api/products", "/api/suggest?q=mug"] {
            shop.send("GET", at, &[session], None).await.expect(200);
        }
    }
    assert!(shop.carts.received_requests().await.unwrap().is_empty());
    let gone = ResponseTemplate::new(204);
    let everywhere = format!("/users/{CUSTOMER}/sessions");
    answers(&shop.sessions, "POST", "/sessions/revoke", gone.clone()).await;
    answers(&shop.sessions, "DELETE", &everywhere, gone).await;
    for at in ["/api/sessions/current", "/api/sessions"] {
        let reply = shop.send("DELETE", at, &[("cookie", &cookie)], None).await;
        assert!(cookies(&reply)["session"].contains("Max-Age=0"));
        reply.expect(204);
    }
    let revoked = requests(&shop.sessions, "POST", "/sessions/revoke").await;
    assert_eq!(
        revoked[0].body_json::<Value>().unwrap(),
        json!({ "token": BLOCKED_TOKEN })
    );
    assert_eq!(requests(&shop.sessions, "DELETE", &everywhere).await.len(), 1);
}

#[tokio::test]
async fn the_blocked_are_strangers_who_are_told_why() {
    let shop = stocked().await;
    let basket = Uuid::new_v4();
    let blocked = Browser::blocked(&shop).with_cart(basket);
    for at in own_pages().into_iter().chain(admin_pages()) {
        if at == "/sign-out" {
            continue;
        }
        let page = blocked.page(&at, 403).await;
        assert!(page.contains("This account is blocked"), "{at}");
        assert!(page.contains("get in touch"), "{at}");
        assert!(page.contains("href=\"/sign-out\""), "{at}");
    }
    let cart = blocked.page("/cart", 200).await;
    assert!(cart.contains("Your account is blocked") && cart.contains("get in touch"));
    assert!(cart.contains("href=\"/sign-in"), "as a stranger");
    for at in ["/", "/search?q=mug", "/sign-in"] {
        let page = blocked.page(at, 200).await;
        assert!(!page.contains("account is blocked"), "{at}");
    }
    let carts = shop.carts.received_requests().await.unwrap();
    assert!(!carts.is_empty());
    for asked in carts {
        assert_eq!(asked.url.path(), format!("/carts/anonymous/{basket}"));
    }
    for at in ["/checkout", "/account/profile", "/account/addresses/new"] {
        let reply = blocked.post(at, &[("name", "Ann")]).await;
        assert_eq!(reply.status, 403, "{at}");
        assert!(checked(&reply).contains("This account is blocked"));
    }
    assert!(shop.orders.received_requests().await.unwrap().is_empty());
    assert!(shop.users.received_requests().await.unwrap().is_empty());

    let out = blocked.page("/sign-out", 200).await;
    let ways = ["/sign-out", "/account/sign-out-everywhere"];
    for way in ways {
        assert!(out.contains(&format!("action=\"{way}\"")), "{way}");
    }
    let gone = ResponseTemplate::new(204);
    all(&shop.sessions, "POST", "^/sessions/revoke$", gone.clone()).await;
    all(&shop.sessions, "DELETE", "^/users/[^/]+/sessions$", gone).await;
    for (way, note) in ways.into_iter().zip(["signed-out", "signed-out-everywhere"]) {
        let done = blocked.post(way, &[]).await;
        assert_eq!(redirect(&done), format!("/?note={note}"));
        assert!(cookies(&done)["session"].contains("Max-Age=0"));
    }
}
