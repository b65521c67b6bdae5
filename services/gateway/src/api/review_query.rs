//! Which of a product's reviews are asked for.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use emporium_service_kit::page::LIMIT_MAX;
use emporium_service_kit::{Problem, validate};
use garde::Validate;
use utoipa::IntoParams;
use uuid::Uuid;

use super::query::{all_pairs, once, valid};
use crate::clients::reviews::ReviewFilter;

/// Most attribute filters at once.
const ATTRIBUTES_MAX: usize = 5;

/// Which reviews, and in which order. A blank parameter counts as absent.
#[derive(Debug, Default, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReviewQuery {
    /// `helpful` (default), `new`, `rating` (the best first; `rating-high` is the same) or `rating-low`.
    #[garde(inner(custom(known_sort)))]
    sort: Option<String>,
    /// Only those with this rating, 1 to 5.
    #[garde(inner(range(min = 1, max = 5)))]
    #[param(minimum = 1, maximum = 5)]
    rating: Option<i64>,
    /// `true`: only verified purchases; `false`: only the others.
    #[garde(skip)]
    verified: Option<bool>,
    /// `path:value`, such as `pros:light` or `fit.size:small`, where a list stands for its items; may be given several times.
    #[garde(length(max = ATTRIBUTES_MAX), inner(length(chars, max = 2_400), custom(validate::text)))]
    #[param(required = false)]
    attribute: Vec<String>,
    /// Where to go on, from the page before; belongs to its sort.
    #[garde(inner(length(max = 1024)), custom(validate::line_opt))]
    cursor: Option<String>,
    /// How many reviews, 1 to 100; 20 when absent.
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // garde hands its context to rules by reference
fn known_sort(sort: &str, _: &()) -> garde::Result {
    const KNOWN: [&str; 5] = ["helpful", "new", "rating", "rating-high", "rating-low"];
    if KNOWN.contains(&sort) {
        return Ok(());
    }
    Err(garde::Error::new(format!("must be one of {}", KNOWN.join(", "))))
}

impl ReviewQuery {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "sort" => once(&name, &mut query.sort, value)?,
                "rating" => once(&name, &mut query.rating, value)?,
                "verified" => once(&name, &mut query.verified, value)?,
                "attribute" => query.attribute.push(value.to_owned()),
                "cursor" => once(&name, &mut query.cursor, value)?,
                "limit" => once(&name, &mut query.limit, value)?,
                _ => {}
            }
        }
        Ok(query)
    }

    /// The same for the service, as seen by this viewer.
    pub fn into_filter(self, viewer: Option<Uuid>) -> ReviewFilter {
        let sort = self.sort.map(|sort| match sort.as_str() {
            "rating" => "rating-high".to_owned(),
            _ => sort,
        });
        ReviewFilter {
            sort,
            rating: self.rating,
            verified: self.verified,
            attributes: self.attribute,
            viewer,
            cursor: self.cursor,
            limit: self.limit,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ReviewQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        valid(Self::read(all_pairs(parts, state).await?)?)
    }
}
