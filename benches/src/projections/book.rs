//! What was said, added up: what every projection has to hold in the end, table by table, row by row.

use std::collections::BTreeMap;

use emporium_service_kit::ServiceName;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::expected::{Expected, live, plain};
use super::orders::{Order, Refund, User};

/// Numbers of a row, added up.
type Sums<K, const N: usize> = BTreeMap<K, [i64; N]>;

fn add<K: Ord, const N: usize>(sums: &mut Sums<K, N>, key: K, numbers: [i64; N]) {
    let row = sums.entry(key).or_insert([0; N]);
    for (sum, number) in row.iter_mut().zip(numbers) {
        *sum += number;
    }
}

/// Everything that was committed to an outbox.
#[derive(Default)]
pub struct Book {
    /// Events by type.
    pub events: BTreeMap<&'static str, u64>,
    orders: BTreeMap<Uuid, Order>,
    refunds: BTreeMap<Uuid, String>,
    /// placed, cancelled, orders, lines, units, gross
    sales_day: Sums<(Date, &'static str), 6>,
    /// orders, units, gross
    sales_minute: Sums<String, 3>,
    /// orders, lines, units, goods, refunded_units, refunded
    product_day: Sums<(Date, Uuid), 6>,
    customer_month: Sums<(Uuid, Date), 1>,
    /// succeeded, succeeded_amount, declined, voided, refunded, refunded_amount
    payment_day: Sums<Date, 6>,
    /// bought, refunded
    standing: Sums<(Uuid, Uuid), 2>,
    returned: Sums<(Uuid, Uuid), 1>,
    /// baskets, units
    goods: Sums<Uuid, 2>,
    users: BTreeMap<Uuid, User>,
}

impl Book {
    /// A checkout began.
    pub fn placed(&mut self, order: &Order) {
        let key = (order.placed_at.date(), order.country);
        add(&mut self.sales_day, key, [1, 0, 0, 0, 0, 0]);
    }

    /// It came to nothing.
    pub fn cancelled(&mut self, order: &Order) {
        let key = (order.placed_at.date(), order.country);
        add(&mut self.sales_day, key, [0, 1, 0, 0, 0, 0]);
    }

    /// It will be delivered.
    pub fn confirmed(&mut self, order: &Order) {
        let (day, units) = (order.placed_at.date(), order.units());
        let lines = i64::try_from(order.lines.len()).unwrap_or(i64::MAX);
        add(
            &mut self.sales_day,
            (day, order.country),
            [0, 0, 1, lines, units, order.total],
        );
        add(
            &mut self.sales_minute,
            minute(order.placed_at),
            [1, units, order.total],
        );
        for line in &order.lines {
            let amount = line.quantity * line.unit_price;
            add(
                &mut self.product_day,
                (day, line.product_id),
                [1, 1, line.quantity, amount, 0, 0],
            );
            add(&mut self.goods, line.product_id, [1, line.quantity]);
            if let Some(customer) = order.customer {
                add(
                    &mut self.standing,
                    (customer, line.product_id),
                    [line.quantity, 0],
                );
            }
        }
        if let Some(customer) = order.customer {
            let month = day.replace_day(1).unwrap_or(day);
            add(&mut self.customer_month, (customer, month), [1]);
        }
        self.orders.insert(order.id, order.clone());
    }

    /// Orders told of a refund.
    pub fn refunded(&mut self, order: &Order, refund: &Refund, at: OffsetDateTime) {
        let product = refund.line.product_id;
        add(
            &mut self.product_day,
            (at.date(), product),
            [0, 0, 0, 0, 1, refund.amount],
        );
        self.refunds
            .insert(refund.id, format!("{}|{}", order.id, refund.amount));
        if let Some(customer) = order.customer {
            add(&mut self.standing, (customer, product), [0, 1]);
            add(&mut self.returned, (customer, product), [1]);
        }
    }

    /// Payments told how a charge ended.
    pub fn charged(&mut self, order: &Order, succeeded: bool, at: OffsetDateTime) {
        let row = if succeeded {
            [1, order.total, 0, 0, 0, 0]
        } else {
            [0, 0, 1, 0, 0, 0]
        };
        add(&mut self.payment_day, at.date(), row);
    }

    /// Payments told of a refund.
    pub fn paid_back(&mut self, refund: &Refund, at: OffsetDateTime) {
        add(&mut self.payment_day, at.date(), [0, 0, 0, 0, 1, refund.amount]);
    }

    /// An account changed.
    pub fn updated(&mut self, user: User) {
        self.users.insert(user.id, user);
    }

    /// What every table has to hold.
    pub fn expected(&self) -> Vec<Expected> {
        let mut all = self.analytics();
        all.extend(self.recommendations());
        all.extend(self.others());
        all
    }

    fn analytics(&self) -> Vec<Expected> {
        let of =
            |table, key, values, rows| live(ServiceName::Analytics, "analytics", table, key, values, rows);
        let order = |order: &Order| {
            let (lines, units) = (order.lines.len(), order.units());
            format!(
                "{}|{}|{}|{lines}|{units}",
                text(order.customer),
                order.country,
                order.total
            )
        };
        vec![
            of(
                "analytics_order",
                "order_id",
                "coalesce(customer_id::text, '-'), country, total, lines, units",
                self.orders
                    .iter()
                    .map(|(id, it)| (id.to_string(), order(it)))
                    .collect(),
            ),
            of(
                "analytics_refund",
                "refund_id",
                "order_id, amount",
                self.refunds
                    .iter()
                    .map(|(id, it)| (id.to_string(), it.clone()))
                    .collect(),
            ),
            of(
                "analytics_sales_day",
                "day, country",
                "placed, cancelled, orders, lines, units, gross",
                rows(&self.sales_day, |(day, country)| format!("{day}|{country}")),
            ),
            of(
                "analytics_sales_minute",
                "to_char(minute AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')",
                "orders, units, gross",
                rows(&self.sales_minute, String::clone),
            ),
            of(
                "analytics_product_day",
                "day, product_id",
                "orders, lines, units, goods, refunded_units, refunded",
                rows(&self.product_day, |(day, product)| format!("{day}|{product}")),
            ),
            of(
                "analytics_customer_month",
                "customer_id, month",
                "orders",
                rows(&self.customer_month, |(customer, month)| {
                    format!("{customer}|{month}")
                }),
            ),
            of(
                "analytics_payment_day",
                "day",
                "succeeded, succeeded_amount, declined, voided, refunded, refunded_amount",
                rows(&self.payment_day, Date::to_string),
            ),
        ]
    }

    fn recommendations(&self) -> Vec<Expected> {
        let of = |table, key, values, rows| {
            live(
                ServiceName::Recommendations,
                "recommendations",
                table,
                key,
                values,
                rows,
            )
        };
        let basket = |order: &Order| {
            let units: Vec<String> = order.lines.iter().map(|line| line.quantity.to_string()).collect();
            format!(
                "{}|{}|{}",
                text(order.customer),
                order.lines.len(),
                units.join(",")
            )
        };
        let bought = |(order, it): (&Uuid, &Order)| {
            let of_order =
                move |line: &super::events::Line| (format!("{}|{order}", line.product_id), String::new());
            it.lines.iter().map(of_order).collect::<Vec<_>>()
        };
        vec![
            of(
                "recommendations_basket",
                "order_id",
                "coalesce(customer_id::text, '-'), size, array_to_string(units, ',')",
                self.orders
                    .iter()
                    .map(|(id, it)| (id.to_string(), basket(it)))
                    .collect(),
            ),
            of(
                "recommendations_purchase",
                "good_id, order_id",
                "''",
                self.orders.iter().flat_map(bought).collect(),
            ),
            of(
                "recommendations_good",
                "good_id",
                "baskets",
                self.goods
                    .iter()
                    .map(|(id, it)| (id.to_string(), it[0].to_string()))
                    .collect(),
            )
            .only("baskets > 0"),
            of(
                "recommendations_return",
                "customer_id, good_id",
                "units",
                rows(&self.returned, |(customer, product)| {
                    format!("{customer}|{product}")
                }),
            ),
        ]
    }

    fn others(&self) -> Vec<Expected> {
        let user = |it: &User| format!("{}|{}|{}", it.name, it.active, it.version);
        let users = || -> BTreeMap<String, String> {
            self.users
                .iter()
                .map(|(id, it)| (id.to_string(), user(it)))
                .collect()
        };
        let blocked = |it: &User| format!("{}|{}", !it.active, it.version);
        let ratings = |table, key, values, rows| {
            live(ServiceName::Reviews, "reviews.ratings", table, key, values, rows)
        };
        vec![
            ratings(
                "reviews_standing",
                "customer_id, product_id",
                "bought, refunded",
                rows(&self.standing, |(customer, product)| {
                    format!("{customer}|{product}")
                }),
            ),
            ratings("reviews_author", "user_id", "name, active, version", users()),
            plain(
                ServiceName::Orders,
                "orders_customer_copy",
                "id",
                "name, active, version",
                users(),
            ),
            plain(
                ServiceName::Sessions,
                "sessions_account",
                "user_id",
                "blocked, version",
                self.users
                    .iter()
                    .map(|(id, it)| (id.to_string(), blocked(it)))
                    .collect(),
            ),
            plain(
                ServiceName::Catalog,
                "catalog_stock",
                "product_id",
                "popularity",
                self.goods
                    .iter()
                    .map(|(id, it)| (id.to_string(), it[1].to_string()))
                    .collect(),
            )
            .only("popularity > 0"),
        ]
    }
}

fn rows<K, const N: usize>(sums: &Sums<K, N>, key: impl Fn(&K) -> String) -> BTreeMap<String, String> {
    let numbers = |row: &[i64; N]| row.map(|number| number.to_string()).join("|");
    sums.iter().map(|(of, row)| (key(of), numbers(row))).collect()
}

fn text(id: Option<Uuid>) -> String {
    id.map_or("-".to_owned(), |id| id.to_string())
}

fn minute(at: OffsetDateTime) -> String {
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}
