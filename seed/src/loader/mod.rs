//! Loading: records go, one JSON object a line, to the bulk interface of the service that owns them.
//!
//! A thread makes the records and writes them into a bounded channel, from which the request's body streams; so
//! nothing piles up, however slow the owner is. Nothing is retried: a failure names the owner, and repeating the
//! command continues safely, because an owner leaves what it has as it is.
//!
//! Products and users go first and side by side, since orders refer to them; then orders together with stock
//! adjustments, and with reviews where there are any: those of real data would be invented, so only sample data has some. Payments go beside all of them: they name orders, but their owner asks nobody about them. So what is
//! imported is held against the owners' limits before anything is sent ([`crate::limits`]): no payment may be booked for
//! an order that is refused.
//!
//! A record that an owner refuses after all makes an import fail, when all others are in. Loading sample data leaves it
//! to the caller ([`LoadOutcome::refused`]).

mod outcome;
mod progress;
mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{ImportError, LoadError};
use crate::generator::{Generator, Scale};
use crate::icecat::{self, Icecat};
use crate::online_retail::{self, OnlineRetail};
use crate::records::Currency;
use crate::rejects::RejectFile;

pub use outcome::{BulkAnswer, LoadOutcome, OwnerRejection};
pub use progress::{Progress, ProgressEvent};
pub use stream::{RecordSink, STALL_LIMIT, Stopped, load_records};

/// The services that have bulk interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// Customers.
    Users,
    /// Products and stock adjustments.
    Catalog,
    /// Orders and refunds.
    Orders,
    /// Charges and refunds.
    Payments,
    /// Reviews of products.
    Reviews,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Users => "users",
            Self::Catalog => "catalog",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Reviews => "reviews",
        })
    }
}

/// Where an owner is and how it is talked to.
#[derive(Clone)]
pub struct BulkTarget {
    /// The service's base URL, such as `http://127.0.0.1:8081`, without a slash at its end.
    pub url: String,
    /// The service token of (`operator`, this owner).
    pub token: String,
    /// Further headers of each request, such as trace context.
    pub extra: Vec<(String, String)>,
}

impl fmt::Debug for BulkTarget {
    /// Without the token: it is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkTarget")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// All owners of a shop, and the client to reach them with.
#[derive(Clone, Debug)]
pub struct Targets {
    /// A client without a limit on a request's whole time shorter than a load takes; each request sets its own.
    pub client: reqwest::Client,
    /// The shop's currency.
    pub currency: Currency,
    /// The users service.
    pub users: BulkTarget,
    /// The catalog service.
    pub catalog: BulkTarget,
    /// The orders service.
    pub orders: BulkTarget,
    /// The payments service.
    pub payments: BulkTarget,
    /// The reviews service.
    pub reviews: BulkTarget,
}

impl Targets {
    fn of(&self, owner: Owner) -> &BulkTarget {
        match owner {
            Owner::Users => &self.users,
            Owner::Catalog => &self.catalog,
            Owner::Orders => &self.orders,
            Owner::Payments => &self.payments,
            Owner::Reviews => &self.reviews,
        }
    }
}

/// The kinds of records, each with its owner and path.
#[derive(Clone, Copy)]
enum Kind {
    Products,
    Users,
    Orders,
    Payments,
    Adjustments,
    Reviews,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Products,
        Self::Users,
        Self::Orders,
        Self::Payments,
        Self::Adjustments,
        Self::Reviews,
    ];

    fn parts(self) -> (Owner, &'static str, &'static str) {
        match self {
            Self::Products => (Owner::Catalog, "products", "/bulk/products"),
            Self::Users => (Owner::Users, "users", "/bulk/users"),
            Self::Orders => (Owner::Orders, "orders", "/bulk/orders"),
            Self::Payments => (Owner::Payments, "payments", "/bulk/payments"),
            Self::Adjustments => (Owner::Catalog, "adjustments", "/bulk/stock-adjustments"),
            Self::Reviews => (Owner::Reviews, "reviews", "/bulk/reviews"),
        }
    }
}

/// Loads one kind and hands its name back with the answer.
async fn load<F>(
    targets: &Targets,
    kind: Kind,
    progress: &Progress,
    produce: F,
) -> Result<(&'static str, BulkAnswer), LoadError>
where
    F: FnOnce(&mut RecordSink) -> Result<(), Stopped> + Send + 'static,
{
    let (owner, what, path) = kind.parts();
    let answer = load_records(
        &targets.client,
        targets.of(owner),
        owner,
        what,
        path,
        progress,
        produce,
    )
    .await?;
    Ok((what, answer))
}

/// Makes the sample data of `scale` and `seed` and loads it.
pub async fn load_generated(
    targets: &Targets,
    scale: Scale,
    seed: u64,
    progress: &Progress,
) -> Result<LoadOutcome, LoadError> {
    let generator = Arc::new(Generator::new(scale, seed, targets.currency));
    let (products, users, orders, payments, reviews) = (
        generator.clone(),
        generator.clone(),
        generator.clone(),
        generator.clone(),
        generator,
    );
    let ordered = async {
        let first = tokio::try_join!(
            load(targets, Kind::Products, progress, move |sink| sink
                .extend(products.products())),
            load(targets, Kind::Users, progress, move |sink| sink
                .extend(users.users())),
        )?;
        let then = tokio::try_join!(
            load(targets, Kind::Orders, progress, move |sink| sink
                .extend(orders.orders())),
            load(targets, Kind::Reviews, progress, move |sink| sink
                .extend(reviews.reviews())),
        )?;
        Ok::<_, LoadError>((first, then))
    };
    let payments = load(targets, Kind::Payments, progress, move |sink| {
        sink.extend(payments.payments())
    });
    let (((products, users), (orders, reviews)), payments) = tokio::try_join!(ordered, payments)?;
    Ok(LoadOutcome {
        answers: BTreeMap::from([products, users, orders, payments, reviews]),
    })
}

/// Reads the gift shop's file and loads it; what cannot be represented goes into the file `rejects`.
pub async fn load_online_retail(
    targets: &Targets,
    file: &Path,
    rejects: &Path,
    progress: &Progress,
) -> Result<(online_retail::Report, LoadOutcome), LoadError> {
    let (file, rejects) = (file.to_owned(), rejects.to_owned());
    let shop = blocking(move || read_checked(&file, &rejects)).await?;
    let report = shop.report().clone();
    let shop = Arc::new(shop);
    let (products, users, orders, adjustments, payments) =
        (shop.clone(), shop.clone(), shop.clone(), shop.clone(), shop);
    let ordered = async {
        let first = tokio::try_join!(
            load(targets, Kind::Products, progress, move |sink| sink
                .extend(products.products())),
            load(targets, Kind::Users, progress, move |sink| sink
                .extend(users.users())),
        )?;
        let then = tokio::try_join!(
            load(targets, Kind::Orders, progress, move |sink| sink
                .extend(orders.orders())),
            load(targets, Kind::Adjustments, progress, move |sink| sink
                .extend(adjustments.adjustments())),
        )?;
        Ok::<_, LoadError>((first, then))
    };
    let payments = load(targets, Kind::Payments, progress, move |sink| {
        sink.extend(payments.payments())
    });
    let (((products, users), (orders, adjustments)), payments) = tokio::try_join!(ordered, payments)?;
    let outcome = LoadOutcome {
        answers: BTreeMap::from([products, users, orders, adjustments, payments]),
    };
    Ok((report, outcome.complete()?))
}

/// Reads the gift shop's file, and lets nothing through that an owner would refuse.
fn read_checked(file: &Path, rejects: &Path) -> Result<OnlineRetail, LoadError> {
    let shop = OnlineRetail::read(file, &mut RejectFile::new(rejects)?)?;
    let kind = |what| Kind::ALL.into_iter().map(Kind::parts).find(|kind| kind.1 == what);
    shop.check().map_err(|(what, detail)| LoadError::Produce {
        owner: kind(what).map_or(Owner::Orders, |kind| kind.0),
        what,
        detail,
    })?;
    Ok(shop)
}

/// Reads the Icecat catalogue and loads it; what cannot be represented goes into the file `rejects`.
pub async fn load_icecat(
    targets: &Targets,
    file: &Path,
    rejects: &Path,
    progress: &Progress,
) -> Result<(icecat::Report, LoadOutcome), LoadError> {
    // What the reading thread found, besides the records: the report, or why the file could not be read.
    let (result, found) = tokio::sync::oneshot::channel();
    let (file, rejects, currency) = (file.to_owned(), rejects.to_owned(), targets.currency);
    let answer = load(targets, Kind::Products, progress, move |sink| {
        let outcome = stream_icecat(&file, &rejects, currency, sink);
        let stopped = outcome.as_ref().map(|_| ()).map_err(|failure| match failure {
            IcecatFailure::Stopped(stopped) => stopped.clone(),
            IcecatFailure::Import(error) => Stopped::failed(error),
        });
        // Nobody waits for it any more when the load has failed: then the load's own error counts.
        let _ = result.send(outcome);
        stopped
    })
    .await;
    match (answer, found.await) {
        (_, Ok(Err(IcecatFailure::Import(error)))) => Err(error.into()),
        (Err(error), _) => Err(error),
        (Ok(answer), Ok(Ok(report))) => {
            let answers = BTreeMap::from([answer]);
            Ok((report, LoadOutcome { answers }.complete()?))
        }
        (Ok(_), _) => Err(produce_failed("the reading thread stopped without a result")),
    }
}

enum IcecatFailure {
    Import(ImportError),
    Stopped(Stopped),
}

impl From<ImportError> for IcecatFailure {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

fn stream_icecat(
    file: &Path,
    rejects: &Path,
    currency: Currency,
    sink: &mut RecordSink,
) -> Result<icecat::Report, IcecatFailure> {
    let mut rejects = RejectFile::new(rejects)?;
    let mut catalogue = Icecat::open(file, currency, &mut rejects)?;
    while let Some(product) = catalogue.next_product()? {
        sink.push(&product).map_err(IcecatFailure::Stopped)?;
    }
    Ok(catalogue.report())
}

fn produce_failed(detail: &str) -> LoadError {
    LoadError::Produce {
        owner: Owner::Catalog,
        what: "products",
        detail: detail.to_owned(),
    }
}

/// Runs something that blocks, away from the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(produce_failed(&error.to_string())),
    }
}
