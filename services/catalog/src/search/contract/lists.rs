//! Promises about lists: order, pages, counts, and following changes.

use std::collections::BTreeSet;

use time::Duration;
use uuid::Uuid;

use super::{EPOCH, document, everything, fill, id, numbers, put, query};
use crate::model::AttributeValue;
use crate::search::{Document, IndexChange, SearchError, SearchIndex, SearchQuery, Sort};

/// Totals and facets are of the whole filtered list, and filters combine.
pub async fn counts_and_filters(index: &dyn SearchIndex) {
    fill(index).await;
    let all = index
        .search(&SearchQuery {
            limit: 2,
            ..everything(Sort::Popular)
        })
        .await
        .unwrap();
    assert_eq!(
        (all.ids.len(), all.summary.total, all.summary.total_is_lower_bound),
        (2, 6, false)
    );
    let first = &all.summary.facets.category[0];
    assert_eq!(
        (first.value.as_str(), first.name.as_str(), first.count),
        ("accessories", "Accessories", 3)
    );
    assert_eq!(all.summary.facets.brand[0].value, "Novatek");
    let prices: Vec<_> = all
        .summary
        .facets
        .price
        .iter()
        .map(|p| (p.from, p.to, p.count))
        .collect();
    assert_eq!(
        prices,
        [
            (1_000, Some(2_499), 2),
            (2_500, Some(4_999), 2),
            (5_000, Some(9_999), 2)
        ]
    );
    let filters: [(SearchQuery, &[u128]); 7] = [
        (
            SearchQuery {
                category: Some("accessories".into()),
                ..everything(Sort::PriceAsc)
            },
            &[2, 3, 6],
        ),
        (
            SearchQuery {
                brand: Some("Novatek".into()),
                ..everything(Sort::PriceAsc)
            },
            &[1, 3],
        ),
        (
            SearchQuery {
                price_min: Some(3_000),
                price_max: Some(5_000),
                ..everything(Sort::PriceAsc)
            },
            &[3, 4, 5],
        ),
        (
            SearchQuery {
                in_stock: Some(false),
                ..everything(Sort::PriceAsc)
            },
            &[],
        ),
        (
            SearchQuery {
                attributes: vec![
                    ("buttons".into(), "3".into()),
                    ("rechargeable".into(), "true".into()),
                ],
                ..everything(Sort::PriceAsc)
            },
            &[3],
        ),
        (
            SearchQuery {
                attributes: vec![("colour".into(), "red".into())],
                ..everything(Sort::PriceAsc)
            },
            &[],
        ),
        (
            SearchQuery {
                category: Some("accessories".into()),
                ..query("rechargeable")
            },
            &[6, 3],
        ),
    ];
    for (filter, expected) in filters {
        let page = index.search(&filter).await.unwrap();
        assert_eq!(numbers(&page), expected, "{filter:?}");
        assert_eq!(page.summary.total, i64::try_from(expected.len()).unwrap());
        let counted: i64 = page.summary.facets.category.iter().map(|value| value.count).sum();
        assert_eq!(counted, page.summary.total);
    }
}

/// A value that is too long to be filtered by is no product's, and no reason to list them all.
pub async fn long_values_find_nothing(index: &dyn SearchIndex) {
    let mut lamp = document(1, "Lamp", "Lights", "");
    let value = "x".repeat(201);
    lamp.attributes = [("shade".to_owned(), AttributeValue::Text(value.clone()))].into();
    index.apply(&[put(lamp)]).await.unwrap();
    let filtered = SearchQuery {
        attributes: vec![("shade".into(), value)],
        ..everything(Sort::Popular)
    };
    let page = index.search(&filtered).await.unwrap();
    assert_eq!((page.ids.len(), page.summary.total), (0, 0));
}

/// In every order, pages join without a gap or a repetition, equal keys included.
pub async fn pages_without_gaps(index: &dyn SearchIndex) {
    let documents: Vec<Document> = (0_u128..50)
        .map(|number| {
            let mut document = document(number, &format!("Cup {}", (number * 7) % 10), "Cups", "");
            document.price = i64::try_from((number * 13) % 6).unwrap();
            document.popularity = i64::try_from((number * 5) % 4).unwrap();
            document.in_stock = number % 3 != 0;
            document.created_at = EPOCH + Duration::hours(i64::try_from(number % 8).unwrap());
            document
        })
        .collect();
    let changes: Vec<IndexChange> = documents.iter().cloned().map(put).collect();
    index.apply(&changes).await.unwrap();
    for sort in [
        Sort::Popular,
        Sort::Newest,
        Sort::PriceAsc,
        Sort::PriceDesc,
        Sort::Name,
        Sort::Relevance,
    ] {
        for text in [None, Some("cup".to_owned())] {
            let mut wanted = SearchQuery {
                text,
                limit: 7,
                ..everything(sort)
            };
            let mut seen: Vec<Uuid> = Vec::new();
            loop {
                let page = index.search(&wanted).await.unwrap();
                seen.extend(&page.ids);
                wanted.cursor = page.next_cursor;
                if wanted.cursor.is_none() {
                    break;
                }
                assert_eq!(page.ids.len(), 7);
            }
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 50, "{sort:?}");
            assert_eq!(seen.len(), 50, "{sort:?}");
            let order: Vec<&Document> = seen
                .iter()
                .map(|id| documents.iter().find(|d| d.id == *id).unwrap())
                .collect();
            let sorted = order.windows(2).all(|pair| in_order(sort, pair[0], pair[1]));
            assert!(
                sorted || wanted.text.is_some() && sort == Sort::Relevance,
                "{sort:?}"
            );
        }
    }
}

/// What happens to other products while somebody turns the pages neither hides a product nor shows it twice.
pub async fn pages_stay_joined_while_others_change(index: &dyn SearchIndex) {
    let cups = (0_u128..20).map(|number| {
        let mut cup = document(number, "Blue cup", "Cups", "");
        cup.description =
            ["blue ", "cup "][usize::from(number % 2 == 0)].repeat(usize::try_from(number).unwrap());
        put(cup)
    });
    index.apply(&cups.collect::<Vec<_>>()).await.unwrap();
    for sort in [
        Sort::Relevance,
        Sort::Popular,
        Sort::Newest,
        Sort::PriceAsc,
        Sort::Name,
    ] {
        let mut wanted = SearchQuery {
            sort,
            limit: 3,
            ..query("blue cup")
        };
        let mut seen = Vec::new();
        for round in 0_u128.. {
            let page = index.search(&wanted).await.unwrap();
            seen.extend(numbers(&page).into_iter().filter(|number| *number < 20));
            // One word becomes rarer and the other more frequent.
            let number = 1_000 + round % 7;
            index
                .apply(&[
                    put(document(number, "Blue plate", "Plates", "")),
                    put(document(number + 10, "Knife", "Cutlery", "")),
                ])
                .await
                .unwrap();
            wanted.cursor = page.next_cursor;
            if wanted.cursor.is_none() {
                break;
            }
        }
        let distinct: BTreeSet<u128> = seen.iter().copied().collect();
        assert_eq!((seen.len(), distinct.len()), (20, 20), "{sort:?}");
        let gone = (1_000..1_020).map(|number| IndexChange::Remove {
            id: id(number),
            version: 2,
        });
        index.apply(&gone.collect::<Vec<_>>()).await.unwrap();
    }
}

/// A cursor works in its own order only.
pub async fn refuses_foreign_cursors(index: &dyn SearchIndex) {
    fill(index).await;
    let first = index
        .search(&SearchQuery {
            limit: 1,
            ..everything(Sort::PriceAsc)
        })
        .await
        .unwrap();
    for (cursor, sort) in [
        (first.next_cursor.unwrap(), Sort::Newest),
        ("nonsense".to_owned(), Sort::PriceAsc),
        (String::new(), Sort::PriceAsc),
        ("e30".to_owned(), Sort::PriceAsc),
    ] {
        let answer = index
            .search(&SearchQuery {
                cursor: Some(cursor),
                ..everything(sort)
            })
            .await;
        assert!(matches!(answer, Err(SearchError::BadCursor)));
    }
}

fn in_order(sort: Sort, a: &Document, b: &Document) -> bool {
    match sort {
        Sort::Relevance | Sort::Popular => (a.in_stock, a.popularity) >= (b.in_stock, b.popularity),
        Sort::Newest => a.created_at >= b.created_at,
        Sort::PriceAsc => a.price <= b.price,
        Sort::PriceDesc => a.price >= b.price,
        Sort::Name => a.name <= b.name,
    }
}
