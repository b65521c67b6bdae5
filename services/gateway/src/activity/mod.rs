//! What visitors do in the shop, told to the analytics service: searches, views of products, changes of carts, checkouts
//! that begin. API and pages take part alike: a handler puts a [`Did`] on its answer, and the layer here does the rest.
//!
//! Nothing here is waited for. An activity goes into a bounded queue or, when that is full, nowhere, and is counted either
//! way; [`outbox`] sends what is in the queue in batches. So whatever analytics does, a page takes as long as ever.
//!
//! Who it was is told by an id that says nothing: a cookie that lives until midnight (UTC), since the funnel counts visitors
//! by the day. A client that keeps no cookies is known by a hash of the day and its session's token or its cart's id; one
//! that has neither is a visitor with each request. Not counted are `HEAD`, what browsers fetch ahead of their reader, and
//! programs that say they are crawlers.

mod outbox;
mod visitor;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponseParts, Response, ResponseParts};
use emporium_service_kit::ids;
use time::Date;
use uuid::Uuid;

use crate::app::App;
use crate::clients::activity::{Activity, What};
use crate::cookies;
use crate::identity::{self, Identity};

use visitor::Known;

pub use outbox::{Outbox, Sender, outbox};

/// Characters of a search that are kept.
const QUERY_CHARS_MAX: usize = 200;

/// Something that the asker just did. It goes on the answer, as one of its parts.
#[derive(Debug, Clone)]
pub struct Did {
    what: What,
    customer: Option<Uuid>,
}

impl Did {
    /// Searched for words. Turning to the next page or looking around without words is no search.
    pub fn search(q: Option<&str>, cursor: Option<&str>, results: i64) -> Option<Self> {
        let words: Vec<&str> = q.unwrap_or_default().split_whitespace().collect();
        let words = words.join(" ").replace(char::is_control, " ");
        if words.is_empty() || cursor.is_some_and(|cursor| !cursor.is_empty()) {
            return None;
        }
        let query = words.chars().take(QUERY_CHARS_MAX).collect();
        Some(Self::new(What::Search {
            query,
            results: results.max(0),
        }))
    }

    /// Looked at a product.
    pub fn view(product_id: Uuid) -> Self {
        Self::new(What::View { product_id })
    }

    /// Changed a line of the cart; `quantity` is what is in it afterwards.
    pub fn cart(product_id: Uuid, quantity: i64) -> Self {
        Self::new(What::Cart { product_id, quantity })
    }

    /// Began a checkout.
    pub fn checkout() -> Self {
        Self::new(What::Checkout)
    }

    /// The same with the customer, where the handler knows who that is.
    #[must_use]
    pub fn by(mut self, customer: Option<&Identity>) -> Self {
        self.customer = customer.map(|identity| identity.user_id);
        self
    }

    /// Puts it on an answer that is made already.
    pub fn note(self, answer: &mut Response) {
        answer.extensions_mut().insert(self);
    }

    fn new(what: What) -> Self {
        Self { what, customer: None }
    }
}

impl IntoResponseParts for Did {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// Layer: passes on what the answer says was done. It waits for nothing.
pub async fn tell(State(app): State<App>, request: Request, next: Next) -> Response {
    let counted = *request.method() != Method::HEAD && visitor::is_somebody(request.headers());
    let now = app.clock.now();
    let known = visitor::known(request.headers(), now.date());
    let mut answer = next.run(request).await;
    let Some(did) = answer.extensions_mut().remove::<Did>() else {
        return answer;
    };
    if !counted {
        return answer;
    }
    let visitor = known.unwrap_or_else(|| newcomer(answer.headers(), now.date()));
    if visitor.keep {
        cookies::keep_visitor(answer.headers_mut(), &app.config, visitor.id, now);
    }
    app.activity.send(Activity {
        id: ids::new(&app.clock),
        visitor_id: visitor.id,
        customer_id: did.customer,
        what: did.what,
    });
    answer
}

/// Somebody who is not known yet: by the cart that this answer opens, else by nothing but the cookie from now on.
fn newcomer(answer: &HeaderMap, today: Date) -> Known {
    let cart = answer.get(identity::CART_HEADER).and_then(|id| id.to_str().ok());
    let cart = cart.and_then(|id| Uuid::try_parse(id).ok());
    let id = cart.map_or_else(Uuid::new_v4, |cart| visitor::of_cart(cart, today));
    Known { id, keep: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_page_of_words_is_a_search() {
        fn query(q: Option<&str>, cursor: Option<&str>) -> Option<String> {
            Did::search(q, cursor, 3).map(|did| match did.what {
                What::Search { query, .. } => query,
                other => panic!("{other:?}"),
            })
        }
        assert_eq!(query(Some("  red \t mug "), None).as_deref(), Some("red mug"));
        assert_eq!(query(Some("mug"), Some("")).as_deref(), Some("mug"));
        assert_eq!(query(Some("mug"), Some("c")), None);
        assert_eq!(query(Some("  "), None), None);
        assert_eq!(query(None, None), None);
        let words = "é".repeat(500);
        let long = query(Some(&words), None).unwrap();
        assert_eq!(long.chars().count(), QUERY_CHARS_MAX);
        assert!(
            !query(Some("a\0b\u{85}c"), None)
                .unwrap()
                .contains(char::is_control)
        );
    }
}
