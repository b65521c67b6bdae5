//! Putting words together.

/// Words that stay small within a title.
const SMALL_WORDS: &[&str] = &[
    "a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with",
];

/// `set of four mugs` → `Set of Four Mugs`; words that have capitals keep them.
pub fn title_case(text: &str) -> String {
    let mut title = String::with_capacity(text.len());
    for word in text.split(' ') {
        if !title.is_empty() {
            title.push(' ');
            if SMALL_WORDS.contains(&word) {
                title.push_str(word);
                continue;
            }
        }
        let mut starts = true;
        for letter in word.chars() {
            if starts {
                title.extend(letter.to_uppercase());
            } else {
                title.push(letter);
            }
            starts = letter == '-';
        }
    }
    title
}

/// `a` or `an` before `word`.
pub fn with_article(word: &str) -> String {
    let vowel = matches!(
        word.as_bytes().first(),
        Some(b'a' | b'e' | b'i' | b'o' | b'u' | b'A' | b'E' | b'I' | b'O')
    );
    format!("{} {word}", if vowel { "an" } else { "a" })
}

/// Replaces `{name}` by the value of that name; unknown names stay, so that a test finds them.
pub fn fill(template: &str, values: &[(&str, &str)], into: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        into.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            into.push('{');
            rest = after;
            continue;
        };
        if let Some((_, value)) = values.iter().find(|(key, _)| *key == name) {
            into.push_str(value);
        } else {
            into.push('{');
            into.push_str(name);
            into.push('}');
        }
        rest = tail;
    }
    into.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_articles_and_templates() {
        assert_eq!(
            title_case("set of four hard-anodised mugs"),
            "Set of Four Hard-Anodised Mugs"
        );
        assert_eq!(title_case("FSC cedar"), "FSC Cedar");
        assert_eq!(with_article("apron"), "an apron");
        assert_eq!(with_article("USB hub"), "a USB hub");
        let mut text = String::new();
        fill("{a} and {b}{c", &[("a", "one")], &mut text);
        assert_eq!(text, "one and {b}{c");
    }
}
