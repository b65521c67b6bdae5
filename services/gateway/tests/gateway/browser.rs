//! A browser without scripts: asks for HTML, sends forms and cookies, follows nothing by itself.

use emporium_test_kit::Reply;
use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::html;
use crate::recommendations::{shelf, suggestion};
use crate::reviews::{review, summary};
use crate::support::{
    ADMIN_TOKEN, AT, BLOCKED_TOKEN, CUSTOMER, CUSTOMER_TOKEN, Shop, answers, cart, id, ok, order, product,
    user,
};

/// Text that is up to no good wherever it is put.
pub const HOSTILE: &str =
    "</title></textarea>\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{7*7}}";

/// A browser of one person.
pub struct Browser<'a> {
    shop: &'a Shop,
    cookie: String,
}

impl<'a> Browser<'a> {
    /// Nobody who is known.
    pub fn stranger(shop: &'a Shop) -> Self {
        Self {
            shop,
            cookie: String::new(),
        }
    }

    /// The customer, signed in.
    pub fn customer(shop: &'a Shop) -> Self {
        Self {
            shop,
            cookie: format!("session={CUSTOMER_TOKEN}"),
        }
    }

    /// The administrator, signed in.
    pub fn admin(shop: &'a Shop) -> Self {
        Self {
            shop,
            cookie: format!("session={ADMIN_TOKEN}"),
        }
    }

    /// The customer, blocked.
    pub fn blocked(shop: &'a Shop) -> Self {
        Self {
            shop,
            cookie: format!("session={BLOCKED_TOKEN}"),
        }
    }

    /// The same with a basket from before signing in.
    pub fn with_cart(mut self, id: uuid::Uuid) -> Self {
        self.cookie = format!("{}; cart={id}", self.cookie);
        self
    }

    /// Opens a page.
    pub async fn get(&self, at: &str) -> Reply {
        let request = self.shop.guest().request("GET", at);
        Reply::read(
            request
                .header("accept", "text/html,*/*;q=0.8")
                .header("cookie", &self.cookie),
        )
        .await
    }

    /// Opens a page and checks that it is good HTML with this status.
    #[track_caller]
    pub fn page(&self, at: &str, status: u16) -> impl Future<Output = String> + use<'_, 'a> {
        let caller = std::panic::Location::caller();
        let at = at.to_owned();
        async move {
            let reply = self.get(&at).await;
            let start: String = reply.text.chars().take(800).collect();
            assert_eq!(reply.status, status, "{at} at {caller}: {start}");
            checked(&reply)
        }
    }

    /// Sends a form.
    pub async fn post(&self, at: &str, fields: &[(&str, &str)]) -> Reply {
        self.post_from(at, fields, "same-origin").await
    }

    /// Sends a form that stands on a page of this kind of site.
    pub async fn post_from(&self, at: &str, fields: &[(&str, &str)], site: &str) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self.shop.guest().request("POST", at);
        let request = request
            .header("accept", "text/html,*/*;q=0.8")
            .header("cookie", &self.cookie)
            .header("sec-fetch-site", site)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        Reply::read(request).await
    }
}

/// The text of a good page.
#[track_caller]
pub fn checked(reply: &Reply) -> String {
    assert_eq!(reply.content_type, "text/html; charset=utf-8", "{}", reply.text);
    html::check(&reply.text);
    assert!(!reply.text.contains("<script>"), "a script got in");
    reply.text.clone()
}

/// Checks that the answer is a redirect after a POST, and gives its target.
#[track_caller]
pub fn redirect(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.text);
    assert_eq!(reply.headers["cache-control"], "no-store");
    reply.headers["location"].to_str().unwrap()
}

/// The value of a field.
#[track_caller]
pub fn value<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, after) = page.split_once(&format!("name=\"{name}\"")).unwrap();
    let (tag, _) = after.split_once('>').unwrap();
    let (_, value) = tag.split_once("value=\"").unwrap();
    value.split_once('"').unwrap().0
}

/// Answers every address that looks like this.
pub async fn all(server: &MockServer, verb: &str, pattern: &str, answer: ResponseTemplate) {
    let mock = Mock::given(method(verb))
        .and(path_regex(pattern))
        .respond_with(answer);
    mock.with_priority(200).mount(server).await;
}

/// Answers the addresses of a list of products.
pub fn products(items: &[Value]) -> Value {
    json!({
        "items": items, "total": items.len(), "total_is_lower_bound": false, "next_cursor": "n&x",
        "degraded": [], "corrected_query": null,
        "facets": {
            "category": [{ "value": HOSTILE, "name": HOSTILE, "count": 3 }],
            "brand": [{ "value": HOSTILE, "count": 3 }],
            "price": [{ "from": null, "to": 999, "count": 2 }, { "from": 1000, "to": null, "count": 1 }],
        },
    })
}

/// An address of the customer's.
pub fn address(number: u128, street: &str) -> Value {
    json!({
        "id": id(number), "street": street, "city": HOSTILE, "postal_code": "N1", "country": "GB", "is_default": number == 50,
    })
}

/// Stands in for services full of names that are up to no good.
pub async fn stocked() -> Shop {
    let shop = Shop::open().await;
    let mut nasty = product(id(1), HOSTILE, 250, 5);
    nasty["brand"] = HOSTILE.into();
    nasty["category"] = HOSTILE.into();
    nasty["category_name"] = HOSTILE.into();
    nasty["description"] = format!("{HOSTILE}\n\n{HOSTILE}").into();
    nasty["attributes"] = json!({ HOSTILE: HOSTILE, "ok": true, "n": 1.5, "deep": { "x": HOSTILE } });
    let list = products(&[nasty.clone(), product(id(2), "plain", 100, 0)]);
    answers(&shop.catalog, "GET", "/products", ok(&list)).await;
    all(&shop.catalog, "GET", "^/products/.+", ok(&nasty)).await;
    answers(
        &shop.catalog,
        "POST",
        "/products/batch",
        ok(&json!({ "items": [nasty] })),
    )
    .await;
    let category = json!({ "slug": HOSTILE, "name": HOSTILE, "count": 1 });
    answers(
        &shop.catalog,
        "GET",
        "/categories",
        ok(&json!({ "items": [category], "next_cursor": null })),
    )
    .await;
    all(&shop.carts, "GET", "^/carts/", ok(&cart(1, &[(id(1), 2)]))).await;
    know_customer(&shop).await;
    know_orders(&shop).await;
    know_opinions(&shop).await;
    shop
}

async fn know_opinions(shop: &Shop) {
    let mut nasty = review(80, id(60));
    nasty["author_name"] = HOSTILE.into();
    nasty["title"] = HOSTILE.into();
    nasty["text"] = format!("{HOSTILE}\n\u{85}\n{HOSTILE}").into();
    nasty["hidden_reason"] = HOSTILE.into();
    nasty["answers"][0]["text"] = HOSTILE.into();
    nasty["attributes"] = json!({
        "pros": [HOSTILE, 1], "cons": HOSTILE, "photos": [{ "caption": HOSTILE }], HOSTILE: { HOSTILE: HOSTILE },
    });
    let list = json!({ "items": [nasty], "next_cursor": "c\"d", "as_of": AT });
    all(&shop.reviews, "GET", "/reviews$", ok(&list)).await;
    all(&shop.reviews, "GET", "/by/", ok(&nasty)).await;
    all(&shop.reviews, "GET", "^/reviews/", ok(&nasty)).await;
    answers(&shop.reviews, "GET", "/summaries", ok(&summary())).await;
    let related = shelf(&[suggestion(1, "bought-together", Some(1))]);
    all(&shop.recommendations, "GET", ".", ok(&related)).await;
    let again = shelf(&[suggestion(1, "bought-before", None)]);
    let mock = Mock::given(method("GET")).and(path_regex("/buy-again$"));
    mock.respond_with(ok(&again)).mount(&shop.recommendations).await;
}

async fn know_customer(shop: &Shop) {
    let mut me = user(CUSTOMER, HOSTILE);
    me["preferences"] = json!({ "delivery_note": HOSTILE, "newsletter": true });
    all(&shop.users, "GET", "^/users/[^/]+$", ok(&me)).await;
    let book = json!({ "items": [address(50, HOSTILE), address(51, "Elm Road")], "next_cursor": null });
    all(&shop.users, "GET", "^/users/[^/]+/addresses$", ok(&book)).await;
    answers(
        &shop.users,
        "GET",
        "/users",
        ok(&json!({ "items": [me], "next_cursor": "c" })),
    )
    .await;
    answers(&shop.users, "POST", "/users/batch", ok(&json!({ "items": [me] }))).await;
}

async fn know_orders(shop: &Shop) {
    let mut nasty = order(70, Some(CUSTOMER), &[id(1), id(2)]);
    nasty["number"] = HOSTILE.into();
    nasty["lines"][0]["name"] = HOSTILE.into();
    nasty["charges"][0]["name"] = HOSTILE.into();
    nasty["reason"] = HOSTILE.into();
    nasty["status"] = "cancelled".into();
    nasty["shipping_address"]["street"] = HOSTILE.into();
    nasty["timeline"] = json!([
        { "step": "place", "state": "done", "at": AT, "detail": null },
        { "step": HOSTILE, "state": HOSTILE, "at": AT, "detail": HOSTILE },
        { "step": "charge", "state": "refused", "at": AT, "detail": "card-declined" },
        { "step": "release-stock", "state": "done", "at": AT, "detail": null },
    ]);
    let list = json!({ "items": [nasty], "next_cursor": "c\"d" });
    all(&shop.orders, "GET", "/orders$", ok(&list)).await;
    all(&shop.orders, "GET", "/orders/.+", ok(&nasty)).await;
    let charge = json!({
        "saga_id": id(70), "order_id": id(70), "amount": { "amount": 205, "currency": "GBP" }, "state": "open",
        "refunded": { "amount": 0, "currency": "GBP" }, "reason": HOSTILE, "provider_reference": null,
        "created_at": AT, "updated_at": AT,
    });
    all(&shop.payments, "GET", "^/charges/", ok(&charge)).await;
}
