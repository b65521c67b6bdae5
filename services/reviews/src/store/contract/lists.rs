//! The part of the suite about lists: their orders, pages and filters, compared with plain sorting and filtering in memory.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bench, bought, hide, list, opinion, with_attributes};
use crate::attributes::AttributeFilter;
use crate::listing::{ProductReviews, Sort, Viewer, Which};
use crate::model::{Review, State};

/// Fills a product with reviews of all ratings, some voted on, some bought, some hidden.
async fn filled(bench: &Bench, count: usize) -> (Uuid, Vec<Review>) {
    let product = Uuid::new_v4();
    let mut reviews = Vec::new();
    for n in 0..count {
        let attributes = json!({
            "size": n % 3, "pros": [format!("p{}", n % 4), "all"], "photos": [{"caption": format!("c{}", n % 2)}],
            "again": n % 2 == 0, "fit": {"width": if n % 5 == 0 { json!("2") } else { json!(2) }}
        });
        let rating = i16::try_from(n % 5).unwrap() + 1;
        let author = Uuid::new_v4();
        let review = bench
            .post(product, author, with_attributes(rating, &attributes))
            .await;
        for _ in 0..n % 4 {
            bench.vote(&review, Uuid::new_v4(), Some(n % 8 < 4)).await;
        }
        if n % 3 == 0 {
            bench.absorb(&[bought(author, product, 1)]).await;
        }
        if n % 7 == 6 {
            bench.moderate(&review, hide()).await;
        }
        reviews.push(bench.find(&review).await);
    }
    // Another product's are in no list.
    bench.post(Uuid::new_v4(), Uuid::new_v4(), opinion(5)).await;
    (product, reviews)
}

/// As the list has to be.
fn expected(reviews: &[Review], sort: Sort, keep: impl Fn(&Review) -> bool) -> Vec<Uuid> {
    let mut kept: Vec<&Review> = reviews
        .iter()
        .filter(|review| review.state == State::Visible && keep(review))
        .collect();
    kept.sort_by_key(|review| {
        let rank = match sort {
            Sort::Helpful => review.unhelpful - review.helpful,
            Sort::New => 0,
            Sort::RatingHigh => -i64::from(review.rating),
            Sort::RatingLow => i64::from(review.rating),
        };
        (rank, std::cmp::Reverse(review.id))
    });
    kept.iter().map(|review| review.id).collect()
}

fn ids(reviews: &[Review]) -> Vec<Uuid> {
    reviews.iter().map(|review| review.id).collect()
}

/// Every order, in pages of every size, has each review once.
pub async fn lists_are_sorted_and_paged(bench: Bench) {
    let (product, reviews) = filled(&bench, 24).await;
    for sort in Sort::ALL {
        let wanted = ProductReviews {
            sort,
            ..list(product)
        };
        let right = expected(&reviews, sort, |_| true);
        for size in [1, 7, 21, 100] {
            assert_eq!(
                ids(&bench.pages(&wanted, size).await),
                right,
                "{sort:?} by {size}"
            );
        }
    }
    // What is posted while somebody pages does not shift the pages to come.
    let wanted = ProductReviews {
        max: 5,
        ..list(product)
    };
    let first = bench.store.of_product(&wanted).await.unwrap();
    bench.post(product, Uuid::new_v4(), opinion(5)).await;
    let after = first.next;
    let second = ProductReviews { after, ..wanted };
    let second = bench.store.of_product(&second).await.unwrap();
    let right = expected(&reviews, Sort::New, |_| true);
    assert_eq!(ids(&second.items), right[5..10]);
}

fn has(review: &Review, pointer: &str, value: &Value) -> bool {
    review.attributes.get(pointer) == Some(value)
}

/// Rating, mark and attributes that a list is filtered by, and what fits.
type Case<'a> = (
    Option<i16>,
    Option<bool>,
    &'a [&'a str],
    &'a dyn Fn(&Review) -> bool,
);

/// Filters by rating, mark and attributes, alone and together, in every order.
pub async fn filters_find_what_fits(bench: Bench) {
    let (product, reviews) = filled(&bench, 30).await;
    let cases: &[Case] = &[
        (Some(4), None, &[], &|review| review.rating == 4),
        (None, Some(true), &[], &|review| review.verified),
        (None, Some(false), &[], &|review| !review.verified),
        (None, None, &["size:2"], &|review| has(review, "size", &json!(2))),
        (None, None, &["pros:p1"], &|review| {
            review.attributes["pros"][0] == "p1"
        }),
        (None, None, &["pros:all"], &|_| true),
        (None, None, &["photos.caption:c1"], &|review| {
            review.attributes["photos"][0]["caption"] == "c1"
        }),
        (None, None, &["again:true"], &|review| {
            has(review, "again", &json!(true))
        }),
        (None, None, &["fit.width:2"], &|_| true),
        (None, None, &["fit.width:2.0"], &|review| {
            review.attributes["fit"]["width"] == 2
        }),
        (None, None, &["size:2", "pros:p0"], &|review| {
            has(review, "size", &json!(2)) && review.attributes["pros"][0] == "p0"
        }),
        (Some(1), Some(true), &["again:false"], &|review| {
            review.rating == 1 && review.verified && has(review, "again", &json!(false))
        }),
        (None, None, &["size:9"], &|_| false),
        (None, None, &["nothing.of.the.kind:x"], &|_| false),
        (None, None, &["size:2 || 1 == 1", "fit:2"], &|_| false),
    ];
    for (rating, verified, attributes, fits) in cases {
        let attributes: Vec<String> = attributes.iter().map(|&text| text.to_owned()).collect();
        for sort in Sort::ALL {
            let wanted = ProductReviews {
                sort,
                rating: *rating,
                verified: *verified,
                attributes: AttributeFilter::read_all(&attributes).unwrap(),
                ..list(product)
            };
            let found = bench.pages(&wanted, 4).await;
            assert_eq!(
                ids(&found),
                expected(&reviews, sort, fits),
                "{attributes:?} {rating:?} {verified:?} {sort:?}"
            );
        }
    }
}

/// The pages of a filtered list that look at `look` reviews each and have `max` of them at most.
fn stretches(order: &[Uuid], fits: &[Uuid], look: usize, max: usize) -> Vec<Vec<Uuid>> {
    let (mut pages, mut from) = (Vec::new(), 0);
    loop {
        let stretch = &order[from..order.len().min(from + look)];
        let mut page: Vec<Uuid> = stretch.iter().filter(|id| fits.contains(id)).copied().collect();
        from += look;
        if page.len() > max {
            page.truncate(max);
            from = order.iter().position(|id| Some(id) == page.last()).unwrap() + 1;
        }
        pages.push(page);
        if from >= order.len() {
            return pages;
        }
    }
}

/// However few reviews fit, a page looks at so many and no more, and the next one goes on from there: none that fits is lost, and
/// the last page says that it is the last. What is bought is no part of a review, so no index of reviews finds it.
pub async fn pages_look_at_so_many_and_no_more(bench: Bench) {
    let (product, reviews) = filled(&bench, 24).await;
    let cases: [(bool, &[&str]); 3] = [(true, &[]), (false, &["again:true"]), (true, &["size:9"])];
    for (verified, attributes) in cases {
        let attributes: Vec<String> = attributes.iter().map(|&text| text.to_owned()).collect();
        let fits = |review: &Review| match attributes.first().map(String::as_str) {
            None => review.verified == verified,
            Some("again:true") => review.verified == verified && has(review, "again", &json!(true)),
            _ => false,
        };
        for (sort, (look, max)) in Sort::ALL.into_iter().zip([(5, 2), (5, 5), (3, 1), (21, 2)]) {
            let mut wanted = ProductReviews {
                sort,
                verified: Some(verified),
                attributes: AttributeFilter::read_all(&attributes).unwrap(),
                look,
                max,
                ..list(product)
            };
            let order = expected(&reviews, sort, |_| true);
            let fitting = expected(&reviews, sort, fits);
            for page in stretches(&order, &fitting, look as usize, max as usize) {
                let found = bench.store.of_product(&wanted).await.unwrap();
                assert_eq!(
                    ids(&found.items),
                    page,
                    "{verified} {attributes:?} {sort:?} {look}"
                );
                wanted.after = found.next;
            }
            assert_eq!(wanted.after, None, "{verified} {attributes:?} {sort:?} {look}");
        }
    }
}

/// An author's list has hidden ones too; moderators have one list a state; viewers see their votes.
pub async fn newest_lists_have_pages(bench: Bench) {
    let (author, voter) = (Uuid::new_v4(), Uuid::new_v4());
    let mut own = Vec::new();
    for n in 0..9 {
        let review = bench.post(Uuid::new_v4(), author, opinion(3)).await;
        if n % 2 == 0 {
            bench.moderate(&review, hide()).await;
        } else {
            bench.vote(&review, voter, Some(false)).await;
        }
        own.insert(0, bench.find(&review).await);
    }
    let other = bench.post(own[1].product_id, Uuid::new_v4(), opinion(1)).await;
    assert_eq!(bench.newest(Which::By(author), 4).await, own);
    let hidden = bench.newest(Which::In(State::Hidden), 2).await;
    assert_eq!(
        ids(&hidden),
        [own[0].id, own[2].id, own[4].id, own[6].id, own[8].id]
    );
    let visible = bench.newest(Which::In(State::Visible), 2).await;
    assert_eq!(
        ids(&visible),
        [other.id, own[1].id, own[3].id, own[5].id, own[7].id]
    );
    assert_eq!(bench.newest(Which::By(voter), 4).await, []);

    let as_voter = ProductReviews {
        viewer: Viewer::customer(voter),
        ..list(own[1].product_id)
    };
    let seen = bench.store.of_product(&as_voter).await.unwrap();
    let votes: Vec<Option<bool>> = seen.items.iter().map(|review| review.own_vote).collect();
    assert_eq!(votes, [None, Some(false)]);
}

/// Each product once; those without visible reviews are left out.
pub async fn summaries_come_in_batches(bench: Bench) {
    let products: Vec<Uuid> = (0..100).map(|_| Uuid::new_v4()).collect();
    for (n, product) in products.iter().enumerate().take(10) {
        for rating in 1..=i16::try_from(n % 5).unwrap() {
            bench.post(*product, Uuid::new_v4(), opinion(rating)).await;
        }
    }
    let mut twice = products.clone();
    twice.extend(&products);
    let found = bench.store.summaries(&twice).await.unwrap();
    assert_eq!(found.len(), 8, "two of ten have none");
    for summary in found {
        let place = products.iter().position(|id| *id == summary.product_id).unwrap();
        assert_eq!(summary.count, i64::try_from(place % 5).unwrap());
        assert_eq!(Some(summary), bench.counted(products[place]).await);
    }
    assert_eq!(bench.store.summaries(&[]).await.unwrap(), []);
}
