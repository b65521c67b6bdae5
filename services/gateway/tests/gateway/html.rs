//! Whether a page is the HTML that it should be: well formed, labelled, and without anything that the content security
//! policy would refuse.

use std::collections::HashSet;

const VOID: [&str; 7] = ["meta", "link", "input", "br", "img", "hr", "wbr"];
/// Elements that may not stand inside a paragraph: browsers would end it before them.
const BLOCKS: [&str; 12] = [
    "p", "div", "ul", "ol", "table", "form", "section", "h1", "h2", "fieldset", "dl", "nav",
];

/// A start tag with its attributes.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "<{}> has {name} twice", self.name);
        value
    }
}

/// Checks a whole page; panics with what is wrong.
#[track_caller]
pub fn check(html: &str) {
    assert!(
        html.starts_with("<!doctype html>"),
        "{}",
        &html[..html.len().min(200)]
    );
    let control = html.find(|letter: char| letter.is_control() && letter != '\n');
    assert!(control.is_none(), "a control character at {control:?}");
    let tags = read(html);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    for name in ["h1", "main", "head", "body"] {
        assert_eq!(count(name), 1, "<{name}>");
    }
    // Drawings have titles of their own.
    let head = tags.iter().take_while(|tag| tag.name != "body");
    assert_eq!(head.filter(|tag| tag.name == "title").count(), 1, "<title>");
    check_references(&tags);
    for tag in &tags {
        check_policy(tag);
        check_labels(tag, &tags);
    }
}

fn check_references(tags: &[Tag]) {
    let mut ids = HashSet::new();
    for id in tags.iter().filter_map(|tag| tag.get("id")) {
        assert!(ids.insert(id), "the id {id} is there twice");
    }
    for tag in tags {
        for name in ["for", "aria-describedby", "aria-labelledby", "aria-controls"] {
            for id in tag
                .get(name)
                .unwrap_or_default()
                .split(' ')
                .filter(|id| !id.is_empty())
            {
                assert!(
                    ids.contains(id),
                    "<{}> {name} names {id}, which is not there",
                    tag.name
                );
            }
        }
    }
}

fn check_policy(tag: &Tag) {
    for (name, value) in &tag.attributes {
        assert!(
            !name.starts_with("on") && name != "style",
            "<{}> has {name}",
            tag.name
        );
        if matches!(name.as_str(), "href" | "action" | "src") {
            let own = value.is_empty()
                || value.starts_with('#')
                || (value.starts_with('/') && !value.starts_with("//"));
            assert!(own, "<{}> leads to {value}", tag.name);
        }
    }
    assert!(
        tag.name != "script" || tag.get("src").is_some(),
        "a script inside the page"
    );
    assert!(tag.name != "style", "a style inside the page");
}

fn check_labels(tag: &Tag, tags: &[Tag]) {
    let field = matches!(tag.name.as_str(), "input" | "select" | "textarea");
    if field && tag.get("type") != Some("hidden") {
        let id = tag
            .get("id")
            .unwrap_or_else(|| panic!("a <{}> has no id", tag.name));
        let label = tags
            .iter()
            .any(|tag| tag.name == "label" && tag.get("for") == Some(id));
        assert!(label, "the field {id} has no label");
    }
}

/// The start tags in their order, after checking that every element is closed in order.
#[track_caller]
fn read(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>").unwrap();
    while let Some((text, after)) = rest.split_once('<') {
        assert!(!text.contains('>'), "a bare > in {text:?}");
        let end = end_of_tag(after);
        let inside = &after[..end];
        rest = &after[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            let opened = open.pop();
            assert_eq!(opened.as_deref(), Some(name), "closed out of order");
            continue;
        }
        let closed = inside.ends_with('/');
        let tag = tag(inside.trim_end_matches('/'));
        let block = BLOCKS.contains(&tag.name.as_str());
        assert!(
            !(block && open.iter().any(|name| name == "p")),
            "<{}> inside <p>",
            tag.name
        );
        if !closed && !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        tags.push(tag);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    tags
}

/// Where the tag ends: at the first > outside of quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            _ => {}
        }
    }
    panic!("a tag without an end: {}", &text[..text.len().min(80)]);
}

fn tag(text: &str) -> Tag {
    let (name, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    assert!(
        name.chars().all(|letter| letter.is_ascii_alphanumeric()) && !name.is_empty(),
        "no element is called {name:?}"
    );
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Tag {
                name: name.to_owned(),
                attributes,
            };
        }
        let end = rest
            .find(|letter: char| letter == '=' || letter.is_whitespace())
            .unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = "";
        if let Some(quoted) = rest.strip_prefix("=\"") {
            (value, rest) = quoted.split_once('"').unwrap();
        }
        assert!(!rest.starts_with('='), "an attribute without quotes: {text}");
        attributes.push((key, value.to_owned()));
    }
}
