//! Promises about following changes: the newest version wins, whatever comes late, twice or out of order.

use time::Duration;

use super::{EPOCH, document, everything, fill, find, id, numbers, put, query};
use crate::search::cursor::{Key, Place};
use crate::search::{Capability, Document, IndexChange, SearchIndex, SearchQuery, Sort};

/// The newest version wins; what is removed is not found, counted, suggested or taken for a correction any more.
pub async fn follows_changes(index: &dyn SearchIndex) {
    fill(index).await;
    let renamed = |version, name: &str| Document {
        version,
        ..document(4, name, "Porcelain", "Meissner")
    };
    index.apply(&[put(renamed(3, "Teapot"))]).await.unwrap();
    index.apply(&[put(renamed(2, "Jug"))]).await.unwrap();
    assert_eq!(numbers(&find(index, "teapot").await), [4]);
    assert!(find(index, "kettle").await.ids.is_empty());
    let traded = |version, in_stock, popularity| {
        put(Document {
            in_stock,
            popularity,
            ..renamed(version, "Teapot")
        })
    };
    index.apply(&[traded(5, false, 90)]).await.unwrap();
    index.apply(&[traded(4, true, 10)]).await.unwrap();
    let all = index.search(&everything(Sort::Popular)).await.unwrap();
    assert_eq!(
        numbers(&all).last(),
        Some(&4),
        "what is out of stock comes last, however popular"
    );
    let sold_out = SearchQuery {
        in_stock: Some(false),
        ..everything(Sort::Popular)
    };
    assert_eq!(numbers(&index.search(&sold_out).await.unwrap()), [4]);
    index.apply(&[removal(4, 6), removal(99, 1)]).await.unwrap();
    let all = index.search(&everything(Sort::Popular)).await.unwrap();
    assert_eq!((all.ids.len(), all.summary.total), (5, 5));
    let categories = &all.summary.facets.category;
    assert!(categories.iter().all(|value| value.value != "porcelain"));
    assert_eq!(find(index, "teapto").await.corrected_query, None);
    assert!(index.suggest("teap", 10).await.unwrap().is_empty());
}

fn removal(number: u128, version: i64) -> IndexChange {
    IndexChange::Remove {
        id: id(number),
        version,
    }
}

/// A removal is a version like any other: an older change does not bring the product back, an older removal does not take a
/// newer product away, and the same again changes nothing.
pub async fn removals_have_versions(index: &dyn SearchIndex) {
    let lamp = |version| {
        put(Document {
            version,
            ..document(1, "Lamp", "Lights", "")
        })
    };
    let is_listed = async || !find(index, "lamp").await.ids.is_empty();
    let steps = [
        (removal(1, 3), false),
        (lamp(2), false),
        (removal(1, 1), false),
        (lamp(5), true),
        (removal(1, 4), true),
        (removal(1, 5), true),
        (lamp(5), true),
        (removal(1, 6), false),
        (removal(1, 6), false),
        (lamp(6), false),
        (lamp(7), true),
    ];
    for (n, (change, listed)) in steps.into_iter().enumerate() {
        index.apply(&[change]).await.unwrap();
        assert_eq!(is_listed().await, listed, "after step {n}");
    }
    assert_eq!(find(index, "lamp").await.summary.total, 1);
}

/// Writers at the same time, each with its own idea of what is newest, end with what is newest.
pub async fn concurrent_writers_agree(index: &dyn SearchIndex) {
    for round in 0..6_i64 {
        let write = async |writer: i64| {
            for step in 0..4 {
                let version = round * 100 + (writer * 7 + step * 3) % 20 + 1;
                let changes: Vec<IndexChange> = (1..=5)
                    .map(|number| {
                        put(Document {
                            version,
                            popularity: version,
                            ..document(number, "Vase", "Glass", "")
                        })
                    })
                    .collect();
                index.apply(&changes).await.unwrap();
            }
        };
        tokio::join!(write(0), write(1), write(2), write(3));
        let newest = (0..4)
            .flat_map(|writer| (0..4).map(move |step| round * 100 + (writer * 7 + step * 3) % 20 + 1))
            .max()
            .unwrap();
        // Every product has the newest version now: one of a version below changes none, one of the next changes all.
        for (version, popularity) in [(newest, 1), (newest + 1, 2)] {
            let changes: Vec<IndexChange> = (1..=5)
                .map(|number| {
                    put(Document {
                        version,
                        price: popularity,
                        ..document(number, "Vase", "Glass", "")
                    })
                })
                .collect();
            index.apply(&changes).await.unwrap();
            let cheap = SearchQuery {
                price_max: Some(popularity),
                ..query("vase")
            };
            let found = index.search(&cheap).await.unwrap().ids.len();
            assert_eq!(found, if version > newest { 5 } else { 0 });
        }
    }
}

/// A cursor that another adapter wrote goes on where that one stopped.
pub async fn goes_on_after_another_adapters_page(index: &dyn SearchIndex) {
    let cups: Vec<Document> = (0_u128..12)
        .map(|number| {
            let mut cup = document(number, "Blue cup", "Cups", "");
            cup.popularity = i64::try_from(number % 3).unwrap();
            cup.created_at = EPOCH + Duration::hours(i64::try_from(number / 2).unwrap());
            cup
        })
        .collect();
    let changes: Vec<IndexChange> = cups.iter().cloned().map(put).collect();
    index.apply(&changes).await.unwrap();
    let whole = index.search(&query("blue cup")).await.unwrap();
    for key in [Key::Relevance(5, vec![0.5, 0.5]), Key::Score(5, vec![0.5, 0.5])] {
        for shown in [0, 5, 12, 20_000, u32::MAX] {
            let place = Place {
                key: key.clone(),
                any_word: false,
                shown,
                id: id(3),
            };
            let rest = SearchQuery {
                cursor: Some(place.write()),
                ..query("blue cup")
            };
            let rest = index.search(&rest).await.unwrap();
            assert!(rest.ids.len() <= 12);
            let foreign = rest.ids == whole.ids[usize::min(shown.try_into().unwrap(), 12)..];
            // One of the two keys is its own, and means a score.
            assert!(foreign || rest.ids.is_empty() || rest.next_cursor.is_none());
        }
    }
    let last = whole.ids[4];
    let place = |key| Place {
        key,
        any_word: false,
        shown: 5,
        id: last,
    };
    let answers = async |key| {
        let rest = SearchQuery {
            cursor: Some(place(key).write()),
            ..query("blue cup")
        };
        index.search(&rest).await.unwrap().ids
    };
    let both = [
        answers(Key::Relevance(i64::MAX, vec![0.5, 0.5])).await,
        answers(Key::Score(i64::MAX, vec![0.5, 0.5])).await,
    ];
    assert!(
        both.contains(&whole.ids[5..].to_vec()),
        "one of them goes on after five"
    );
}

/// Answers show where the words stand, as HTML in which nothing of the product is markup; an adapter that cannot says so.
pub async fn shows_where_words_stand(index: &dyn SearchIndex) {
    let mut lamp = document(1, "<b>Reading lamps</b> & more", "Lights", "");
    lamp.description = "For evenings. A lamp for readers of \"books\".".into();
    index.apply(&[put(lamp)]).await.unwrap();
    let page = find(index, "reading lamp").await;
    if index.lacks().contains(&Capability::Highlights) {
        assert!(page.highlights.is_empty());
        return;
    }
    let shown = &page.highlights[&id(1)];
    let name = shown.name.as_deref().unwrap();
    assert!(name.contains("<em>Reading</em> <em>lamps</em>"), "{name}");
    assert!(!name.contains("<b>") && name.contains("&amp;"), "{name}");
    let description = shown.description.as_deref().unwrap();
    assert!(description.contains("<em>lamp</em>"), "{description}");
    let all = index.search(&everything(Sort::Popular)).await.unwrap();
    assert!(
        all.highlights.is_empty(),
        "without words there is nothing to show"
    );
}

/// What matches is counted however much it is, or said not to be.
pub async fn counts_beyond_the_bound(index: &dyn SearchIndex) {
    const MANY: u128 = 10_040;
    let documents: Vec<IndexChange> = (0..MANY)
        .map(|number| put(document(number, "Pin", "Pins", "")))
        .collect();
    for chunk in documents.chunks(2_500) {
        index.apply(chunk).await.unwrap();
    }
    let summary = find(index, "pin").await.summary;
    if index.lacks().contains(&Capability::ExactCounts) {
        assert_eq!((summary.total, summary.total_is_lower_bound), (10_000, true));
    } else {
        assert_eq!((summary.total, summary.total_is_lower_bound), (10_040, false));
        assert_eq!(summary.facets.category[0].count, 10_040);
    }
    let all = index.search(&everything(Sort::Popular)).await.unwrap().summary;
    assert_eq!(
        (all.total, all.total_is_lower_bound),
        (10_040, false),
        "without a filter always"
    );
}
