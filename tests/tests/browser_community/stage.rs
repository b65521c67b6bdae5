//! The shop that the journeys are made in.

use emporium_test_kit::eventually;
use emporium_tests::{Admin, Customer, Options, ShopProcess};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

/// What the journeys find in the shop.
pub struct Stage {
    pub shop: ShopProcess,
    /// Goods that were bought together more than once.
    pub goods: Vec<String>,
    /// An administrator's address and password.
    pub admin: (String, String),
}

impl Stage {
    pub async fn set() -> Self {
        let options = Options {
            sample: Some("tiny"),
            ..Options::default()
        };
        let shop = ShopProcess::start(
            PROGRAM,
            &options.on("EMPORIUM_MONITORING_SCRAPE_PERIOD_MS", "1000"),
        )
        .await;
        let admin = Admin::of(&shop).await;
        let mut goods = Vec::new();
        for (name, price) in [
            ("Enamel kettle", 3_900),
            ("Stoneware teapot", 2_450),
            ("Walnut tray", 5_200),
        ] {
            goods.push(admin.product(name, price, 500).await);
        }
        let titles = [
            (5, "Pours without a drip"),
            (4, "Good, but heavy"),
            (3, "Not what I expected"),
        ];
        for (rating, title) in titles {
            let customer = Customer::sign_up(&shop).await;
            let address = customer.add_address().await;
            buy(&customer, &address, &goods).await;
            let body = json!({
                "rating": rating, "title": title,
                "text": "Used every morning since it came.\n\nThe handle stays cool, and the lid sits firmly even when it is full.",
                "attributes": { "pros": ["pours well", "looks good"], "cons": ["heavy"], "colour": "blue", "photos": [{ "caption": "On the stove" }] },
            });
            customer
                .api
                .post(&format!("/api/products/{}/reviews", goods[0]), body)
                .await
                .expect(201);
        }
        let file: Value =
            serde_json::from_str(&std::fs::read_to_string(shop.path().join("admin.json")).unwrap()).unwrap();
        let credential = |name: &str| file[name].as_str().unwrap().to_owned();
        let admin = (credential("email"), credential("password"));
        let path = format!("/api/products/{}/recommendations", goods[0]);
        eventually("the shelf is filled", 20, async || {
            let shelves = shop.visitor().get(&path).await.expect(200);
            (shelves["bought_together"].as_array().unwrap().len() == 2).then_some(())
        })
        .await;
        Self { shop, goods, admin }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shop.url("gateway"))
    }

    pub fn product(&self) -> String {
        self.url(&format!("/products/{}", self.goods[0]))
    }
}

pub async fn buy(customer: &Customer, address: &str, goods: &[String]) {
    for product in goods {
        customer.put(product, 1).await;
    }
    let order = customer.order(address, "tok_ok").await.expect(201);
    assert_eq!(order["status"], "confirmed", "{order}");
}
