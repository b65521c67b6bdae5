//! What may be asked, and how much of it at once.

use emporium_service_kit::days::{Days, DaysQuery};
use emporium_service_kit::validate::filled_line_opt;
use emporium_service_kit::{Currency, Problem};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::model::{By, Rank, TOTALS_DAYS_MAX};
use crate::routes::App;

/// Days of a range when nothing is asked for.
const DAYS_USUAL: i64 = 30;
/// Days of an answer that lists each of them: three years.
const LISTED_DAYS_MAX: i64 = 1_100;
/// Days of any other answer: ten years.
const DAYS_MAX: i64 = 3_660;
/// Days of cohorts: five years.
const COHORT_DAYS_MAX: i64 = 1_830;
/// The cohorts of a year, when nothing is asked for.
const COHORT_DAYS_USUAL: i64 = 365;

/// Makes a query of a report: `from` and `to`, then what is its own.
macro_rules! queries {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$field:meta])* $own:ident: $kind:ty,)* })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            /// The first day, such as `2010-12-01` (UTC); 30 days before `to` when absent (a year for cohorts).
            #[garde(skip)]
            #[param(value_type = Option<String>, format = Date)]
            pub from: Option<String>,
            /// The last day, included; today when absent.
            #[garde(skip)]
            #[param(value_type = Option<String>, format = Date)]
            pub to: Option<String>,
            $($(#[$field])* pub $own: $kind,)*
        }
    )+};
}

queries! {
    /// `?from=&to=`.
    SpanQuery {}

    /// `?from=&to=&by=&currency=&limit=` of revenue.
    RevenueQuery {
        /// What it is grouped by; `day` when absent. At most 1,100 days; otherwise 3,660.
        #[garde(skip)]
        #[param(inline)]
        by: Option<By>,
        /// Of which currency; the shop's when absent.
        #[garde(skip)]
        #[param(value_type = Option<String>)]
        currency: Option<Currency>,
        /// How many categories or countries, 1 to 200, before all others are put together; 50 when absent.
        #[garde(range(min = 1, max = 200))]
        #[param(minimum = 1, maximum = 200)]
        limit: Option<u32>,
    }

    /// `?from=&to=&by=&category=&currency=&limit=` of products.
    TopQuery {
        /// What they are ranked by; `revenue` when absent.
        #[garde(skip)]
        #[param(inline)]
        by: Option<Rank>,
        /// Only products of this category: its slug.
        #[garde(length(chars, max = 200), custom(filled_line_opt))]
        category: Option<String>,
        /// Of which currency; the shop's when absent.
        #[garde(skip)]
        #[param(value_type = Option<String>)]
        currency: Option<Currency>,
        /// How many, 1 to 100; 20 when absent.
        #[garde(range(min = 1, max = 100))]
        #[param(minimum = 1, maximum = 100)]
        limit: Option<u32>,
    }

    /// `?from=&to=&currency=` of baskets.
    BasketsQuery {
        /// Of which currency; the shop's when absent.
        #[garde(skip)]
        #[param(value_type = Option<String>)]
        currency: Option<Currency>,
    }

    /// `?from=&to=&limit=` of searches.
    SearchesQuery {
        /// How many, 1 to 100; 20 when absent.
        #[garde(range(min = 1, max = 100))]
        #[param(minimum = 1, maximum = 100)]
        limit: Option<u32>,
    }
}

/// `?currency=` of the last hour.
#[derive(Debug, Clone, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// Of which currency; the shop's when absent.
    #[garde(skip)]
    #[param(value_type = Option<String>)]
    pub currency: Option<Currency>,
}

fn days(from: Option<&str>, to: Option<&str>) -> DaysQuery {
    DaysQuery {
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    }
}

/// The range asked for; an answer that lists each day has a shorter one.
pub fn range(app: &App, from: Option<&str>, to: Option<&str>, listed: bool) -> Result<Days, Problem> {
    let max = if listed { LISTED_DAYS_MAX } else { DAYS_MAX };
    days(from, to).range(app.clock.now().date(), DAYS_USUAL, max)
}

/// Whole months: from the first day of the first one.
pub fn month_range(app: &App, query: &SpanQuery) -> Result<Days, Problem> {
    let days = days(query.from.as_deref(), query.to.as_deref());
    let mut days = days.range(app.clock.now().date(), COHORT_DAYS_USUAL, COHORT_DAYS_MAX)?;
    days.from = days.from.replace_day(1).unwrap_or(days.from);
    Ok(days)
}

/// The range of totals, of which both ends have to be given.
pub fn whole_range(query: SpanQuery) -> Result<Days, Problem> {
    let SpanQuery { from, to } = query;
    DaysQuery { from, to }.given(TOTALS_DAYS_MAX)
}
