//! People who use the shop through its public API.

use emporium_service_kit::ServiceName;
use emporium_test_kit::http::Reply;
use emporium_test_kit::{Caller, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::ShopProcess;

/// A customer who has signed up and in.
#[derive(Clone)]
pub struct Customer {
    /// Calls with the customer's bearer token.
    pub api: Caller,
    /// The account's id.
    pub id: String,
    /// The account's e-mail address.
    pub email: String,
}

/// The administrator.
#[derive(Clone)]
pub struct Admin {
    /// Calls with the administrator's bearer token.
    pub api: Caller,
}

const PASSWORD: &str = "correct horse battery";

impl Customer {
    /// Signs up and in under a new address.
    pub async fn sign_up(shop: &ShopProcess) -> Self {
        let email = format!("{}@customers.example", Uuid::new_v4().simple());
        let visitor = shop.visitor();
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ada Example" });
        let user = visitor.post("/api/users", body).await.expect(201);
        let api = sign_in(shop, &email, PASSWORD).await;
        Self {
            api,
            id: user["id"].as_str().unwrap().to_owned(),
            email,
        }
    }

    /// Signs in again.
    pub async fn sign_in_again(&self, shop: &ShopProcess) -> Self {
        Self {
            api: sign_in(shop, &self.email, PASSWORD).await,
            ..self.clone()
        }
    }

    /// Adds an address and gives its id.
    pub async fn add_address(&self) -> String {
        let body =
            json!({ "street": "1 High Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB" });
        let address = self.api.post("/api/me/addresses", body).await.expect(201);
        address["id"].as_str().unwrap().to_owned()
    }

    /// Puts a product into the cart.
    pub async fn put(&self, product: &str, quantity: i64) {
        self.api
            .put(
                &format!("/api/cart/items/{product}"),
                json!({ "quantity": quantity }),
            )
            .await
            .expect(200);
    }

    /// Orders the cart under an idempotency key.
    pub async fn order_with(&self, key: &str, body: &Value) -> Reply {
        let request = self
            .api
            .request("POST", "/api/orders")
            .header("idempotency-key", key)
            .json(body);
        Reply::read(request).await
    }

    /// Orders the cart with a payment token under a new key.
    pub async fn order(&self, address: &str, token: &str) -> Reply {
        let body = json!({ "address_id": address, "payment_token": token });
        self.order_with(&Uuid::new_v4().to_string(), &body).await
    }

    /// An order as it is now.
    pub async fn see(&self, order: &str) -> Value {
        self.api.get(&format!("/api/orders/{order}")).await.expect(200)
    }

    /// Waits until an order has ended.
    pub async fn ended(&self, order: &str) -> Value {
        eventually("the order ends", 40, async || {
            let order = self.see(order).await;
            matches!(order["status"].as_str().unwrap(), "confirmed" | "cancelled").then_some(order)
        })
        .await
    }

    /// The cart's lines as (product, quantity).
    pub async fn cart(&self) -> Vec<(String, i64)> {
        let cart = self.api.get("/api/cart").await.expect(200);
        let items = cart["items"].as_array().unwrap().iter();
        items
            .map(|item| (text(&item["product_id"]), item["quantity"].as_i64().unwrap()))
            .collect()
    }
}

impl Admin {
    /// Signs in with what `admin.json` says.
    pub async fn of(shop: &ShopProcess) -> Self {
        let file = std::fs::read_to_string(shop.path().join("admin.json")).unwrap();
        let admin: Value = serde_json::from_str(&file).unwrap();
        Self {
            api: sign_in(
                shop,
                admin["email"].as_str().unwrap(),
                admin["password"].as_str().unwrap(),
            )
            .await,
        }
    }

    /// Adds a product with stock and gives its id.
    pub async fn product(&self, name: &str, price: i64, stock: i64) -> String {
        let sku = format!("T-{}", Uuid::new_v4().simple());
        let body = json!({
            "sku": sku, "name": name, "description": "For a test.", "category": "tests",
            "price": { "amount": price, "currency": "GBP" }
        });
        let id = text(&self.api.post("/api/admin/products", body).await.expect(201)["id"]);
        if stock > 0 {
            let path = format!("/api/admin/products/{id}/stock");
            self.api.post(&path, json!({ "delta": stock })).await.expect(200);
        }
        id
    }
}

async fn sign_in(shop: &ShopProcess, email: &str, password: &str) -> Caller {
    let body = json!({ "email": email, "password": password });
    let session = shop.visitor().post("/api/sessions", body).await.expect(201);
    Caller::new(&shop.url("gateway"), ServiceName::Gateway, None)
        .with_token(session["token"].as_str().unwrap())
}

/// A JSON string's text.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}
