//! What reviews are, in memory: it keeps what happened and works out everything else when it is asked.

use std::collections::BTreeMap;

use emporium_event_bus::CloudEvent;
use uuid::Uuid;

use super::{CUSTOMERS, PRODUCTS};
use crate::listing::{ProductReviews, Sort, Viewer};
use crate::model::{Review, State, Summary};

/// A name that users told, with its version.
pub type Name = (i64, Option<String>);

pub struct Model {
    pub customers: Vec<Uuid>,
    pub products: Vec<Uuid>,
    /// In the order of posting, without what is worked out.
    pub reviews: Vec<Review>,
    pub votes: BTreeMap<(Uuid, Uuid), bool>,
    /// Units kept, by customer and product.
    pub kept: BTreeMap<(Uuid, Uuid), i64>,
    pub names: BTreeMap<Uuid, Name>,
    pub told: Vec<CloudEvent>,
}

impl Model {
    pub fn new() -> Self {
        let some = |n: u8| (0..n).map(|_| Uuid::new_v4()).collect();
        Self {
            customers: some(CUSTOMERS),
            products: some(PRODUCTS),
            reviews: Vec::new(),
            votes: BTreeMap::new(),
            kept: BTreeMap::new(),
            names: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    pub fn who(&self, n: u8) -> Uuid {
        self.customers[usize::from(n)]
    }

    pub fn what(&self, n: u8) -> Uuid {
        self.products[usize::from(n)]
    }

    /// The place of a review, and one that does not exist now and then.
    pub fn at(&self, n: u8) -> Option<usize> {
        Some(usize::from(n)).filter(|place| *place < self.reviews.len())
    }

    pub fn id(&self, n: u8) -> Uuid {
        self.at(n)
            .map_or(Uuid::from_u128(1), |place| self.reviews[place].id)
    }

    pub fn count(&self, review: Uuid, helpful: bool) -> i64 {
        let votes = self
            .votes
            .iter()
            .filter(|((id, _), vote)| *id == review && **vote == helpful);
        i64::try_from(votes.count()).unwrap()
    }

    /// The review at this place, as a viewer sees it.
    pub fn seen(&self, place: usize, viewer: Viewer) -> Review {
        let review = &self.reviews[place];
        let name = self.names.get(&review.author_id);
        let kept = self.kept.get(&(review.author_id, review.product_id));
        let voter = viewer.customer.map(|customer| (review.id, customer));
        Review {
            author_name: name.map_or(review.author_name.clone(), |(_, name)| name.clone()),
            verified: kept.is_some_and(|units| *units > 0),
            helpful: self.count(review.id, true),
            unhelpful: self.count(review.id, false),
            own_vote: voter.and_then(|voter| self.votes.get(&voter).copied()),
            ..review.clone()
        }
    }

    pub fn visible(&self, product: Uuid) -> Vec<Review> {
        let places = 0..self.reviews.len();
        let all = places.map(|place| self.seen(place, Viewer::default()));
        all.filter(|review| review.product_id == product && review.state == State::Visible)
            .collect()
    }

    pub fn list(&self, wanted: &ProductReviews) -> Vec<Review> {
        let mut found = self.visible(wanted.product_id);
        found.retain(|review| {
            wanted.rating.is_none_or(|rating| review.rating == rating)
                && wanted.verified.is_none_or(|verified| review.verified == verified)
        });
        found.sort_by_key(|review| {
            let rank = match wanted.sort {
                Sort::Helpful => review.unhelpful - review.helpful,
                Sort::New => 0,
                Sort::RatingHigh => -i64::from(review.rating),
                Sort::RatingLow => i64::from(review.rating),
            };
            (rank, std::cmp::Reverse(review.id))
        });
        found
    }

    pub fn summary(&self, product: Uuid) -> Option<Summary> {
        let (mut histogram, mut verified) = ([0; 5], 0);
        for review in self.visible(product) {
            histogram[usize::from(review.rating.unsigned_abs()) - 1] += 1;
            verified += i64::from(review.verified);
        }
        Summary::of(product, histogram, verified)
    }
}
