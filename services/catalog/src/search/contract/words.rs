//! Promises about words.

use std::collections::BTreeSet;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{document, fill, find, id, numbers, put, query};
use crate::search::{Capability, SearchIndex, SearchQuery, SuggestionKind};

/// Words are found in names, brands, categories, attributes, descriptions and article numbers; a name counts most.
pub async fn finds_words_wherever_they_stand(index: &dyn SearchIndex) {
    fill(index).await;
    assert_eq!(
        numbers(&find(index, "laptop").await),
        [1, 2],
        "the name counts more than the description"
    );
    assert_eq!(
        numbers(&find(index, "LAPTOPS").await),
        [1, 2],
        "other forms of a word"
    );
    assert_eq!(numbers(&find(index, "novatek mouse").await), [3]);
    assert_eq!(numbers(&find(index, "midnight").await), [3]);
    assert_eq!(numbers(&find(index, "kitchen").await), [4]);
    assert_eq!(
        numbers(&find(index, "rechargeable mouse").await),
        [3],
        "a flag that is set is a word"
    );
    assert_eq!(numbers(&find(index, "sku-4").await), [4]);
    assert_eq!(numbers(&find(index, "15.6 laptop").await), [1, 2]);
    assert!(find(index, "zeppelin").await.ids.is_empty());
    assert_eq!(find(index, "laptop").await.corrected_query, None);
}

/// Letters with marks are found with and without them in every script, however they are composed, and are shown as they were.
pub async fn finds_words_of_every_script(index: &dyn SearchIndex) {
    let names = [
        ("Чайник красный", "чайник"),
        ("Ελληνικά κεραμικά", "ελληνικά"),
        ("노트북 가방", "노트북"),
        ("がま口", "がま口"),
        ("किताब हिन्दी", "हिन्दी"),
        ("Crème brûlée", "creme brûlee"),
        ("Cre\u{300}me fouette\u{301}e", "crème fouettée"),
        ("\u{338}Odd \u{338}lamp\u{338}", "lamp"),
    ];
    let products: Vec<_> = (1..)
        .zip(names)
        .map(|(number, (name, _))| put(document(number, name, "Things", "")))
        .collect();
    index.apply(&products).await.unwrap();
    for (number, (name, text)) in (1_u128..).zip(names) {
        let page = find(index, text).await;
        assert!(numbers(&page).contains(&number), "{text}: {:?}", numbers(&page));
        assert_eq!(page.corrected_query, None, "{text}");
        if !index.lacks().contains(&Capability::Highlights) {
            let shown = page.highlights[&id(number)].name.as_deref().unwrap();
            let plain = shown.replace("<em>", "").replace("</em>", "");
            assert!(plain.nfc().eq(name.nfc()) && shown.contains("<em>"), "{shown}");
            assert!(is_nfc(shown), "{shown}");
        }
        let suggested = index.suggest(text, 10).await.unwrap();
        assert!(
            suggested
                .iter()
                .any(|suggestion| suggestion.product_id == Some(id(number))),
            "{text}"
        );
    }
}

/// One wrong, missing, surplus or swapped letter in each word is forgiven, and the answer says so.
pub async fn forgives_one_slip_a_word(index: &dyn SearchIndex) {
    fill(index).await;
    for (typed, meant, first) in [
        ("laptip", "laptop", 1),
        ("latop", "laptop", 1),
        ("laptopp", "laptop", 1),
        ("laptpo", "laptop", 1),
        ("alptop", "laptop", 1),
        ("wirelss muose", "wireless mouse", 3),
        ("studio hedphones", "studio headphones", 5),
        ("ketle", "kettle", 4),
        ("novatex", "novatek", 1),
        ("bateries", "batteries", 6),
    ] {
        let page = find(index, typed).await;
        assert!(
            numbers(&page).contains(&first),
            "{typed} finds {meant}: {:?}",
            numbers(&page)
        );
        assert_eq!(page.corrected_query.as_deref(), Some(meant));
    }
    assert!(find(index, "lptp").await.ids.is_empty(), "two slips are too many");

    let others = [
        document(7, "Wool blanket", "Bedroom", ""),
        document(8, "Blank card", "Paper", ""),
        document(9, "Mug", "Kitchen", ""),
    ];
    index.apply(&others.map(put)).await.unwrap();
    let page = find(index, "blanke").await;
    assert_eq!(numbers(&page).into_iter().collect::<BTreeSet<_>>(), [7, 8].into());
    assert_eq!(
        page.corrected_query.as_deref(),
        Some("blanket"),
        "a stem in common by accident hides no slip"
    );
    assert_eq!(
        find(index, "blankets").await.corrected_query,
        None,
        "a plural is no slip"
    );
    for typed in ["mg", "ug", "mu", "gum", "mgu"] {
        let found = numbers(&find(index, typed).await);
        assert_eq!(found.contains(&9), typed != "gum", "{typed}: {found:?}");
    }
}

/// Texts are words and nothing else: no operator, quotation, SQL or HTML does anything.
pub async fn survives_hostile_texts(index: &dyn SearchIndex) {
    fill(index).await;
    for text in [
        "' OR 1=1 --",
        "'; DROP TABLE catalog_product; --",
        "<script>alert(1)</script>",
        "a & b | !c <-> d:*",
        "((((",
        "\"unclosed",
        "\\",
        "%",
        "_",
        "*",
        ":*",
        "laptop:*A",
        "!laptop",
        "the of and",
        "🦀",
        "\u{202e}laptop",
        "ﬁﬀ",
        "İstanbul",
        "ß",
        "a\u{301}\u{301}\u{301}",
        "1.2.3.4",
        "1e309",
        "15.6.7",
        ".",
        "-",
        "'",
        "''",
    ] {
        index.search(&query(text)).await.unwrap();
        index.suggest(text, 10).await.unwrap();
    }
    for text in ["!!! ??? ...", "''", "&|!()"] {
        let page = find(index, text).await;
        assert_eq!(
            (page.ids.len(), page.summary.total),
            (0, 0),
            "a text without words finds nothing"
        );
    }
    let letters: Vec<char> = ('\0'..'\u{20000}')
        .filter(|c| c.is_alphanumeric())
        .step_by(53)
        .collect();
    for letters in letters.chunks(64) {
        let words: Vec<String> = letters.chunks(4).map(|word| word.iter().collect()).collect();
        index.search(&query(&words.join(" "))).await.unwrap();
        index.suggest(&words.join(" "), 10).await.unwrap();
    }
    let long = "mug ".repeat(125);
    index.search(&query(&long)).await.unwrap();
    let distinct = (0..120).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    index.search(&query(&distinct)).await.unwrap();
    assert_eq!(
        numbers(&find(index, "!laptop & <b>").await),
        [1, 2],
        "what is left are the words"
    );
}

/// When no product has all the words, those with some are shown.
pub async fn falls_back_to_any_word(index: &dyn SearchIndex) {
    fill(index).await;
    let page = index
        .search(&SearchQuery {
            limit: 1,
            ..query("kettle headphones")
        })
        .await
        .unwrap();
    assert_eq!(page.summary.total, 2);
    let rest = SearchQuery {
        limit: 1,
        cursor: page.next_cursor.clone(),
        ..query("kettle headphones")
    };
    let rest = index.search(&rest).await.unwrap();
    assert_eq!(rest.summary.total, 2, "the next page is of the same list");
    let both: BTreeSet<u128> = numbers(&page).into_iter().chain(numbers(&rest)).collect();
    assert_eq!(both, [4, 5].into());
    assert_eq!(rest.next_cursor, None);
    assert_eq!(numbers(&find(index, "wireless mouse").await), [3]);
}

/// Names are suggested by their beginning, by the beginning of a word in them, and with a slip.
pub async fn suggests(index: &dyn SearchIndex) {
    fill(index).await;
    let mut popular = document(7, "Traveller mug", "Kitchen", "");
    popular.popularity = 50;
    index.apply(&[put(popular)]).await.unwrap();
    let texts = async |typed: &str| {
        let suggestions = index.suggest(typed, 10).await.unwrap();
        suggestions
            .into_iter()
            .map(|s| (s.text, s.kind))
            .collect::<Vec<_>>()
    };
    let product = |name: &str| (name.to_owned(), SuggestionKind::Product);
    assert_eq!(
        texts("trav").await,
        [product("Traveller mug"), product("Traveller 15.6 laptop")]
    );
    assert_eq!(texts("T").await.len(), 2);
    assert_eq!(texts("mou").await, [product("Wireless mouse")]);
    assert_eq!(texts("wireless mo").await, [product("Wireless mouse")]);
    assert_eq!(texts("hedphones").await, [product("Studio headphones")]);
    assert!(
        texts("kit")
            .await
            .contains(&("Kitchen".to_owned(), SuggestionKind::Category))
    );
    assert!(
        texts("nova")
            .await
            .contains(&("Novatek".to_owned(), SuggestionKind::Brand))
    );
    assert!(texts("").await.is_empty() && texts("?!").await.is_empty());
    assert_eq!(index.suggest("t", 1).await.unwrap().len(), 1);
    let mouse = index.suggest("mou", 10).await.unwrap();
    assert_eq!(mouse[0].product_id, Some(id(3)));
}
