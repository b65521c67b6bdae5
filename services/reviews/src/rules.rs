//! What may be written: rules for garde that the kit's do not cover.
//!
//! Beyond control characters, texts must not contain the characters that turn the direction of what follows them: with them,
//! a review could make the page around it, or a moderator's list, read as something else ("Trojan Source",
//! <https://trojansource.codes>). Marks that only say the direction of their own place (U+200E, U+200F, U+061C) stay, since
//! right-to-left languages need them.
#![allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // garde hands over references

use emporium_service_kit::{garde, validate};

use crate::model::State;

/// Embeddings, overrides and isolates, and the line separators of Unicode that programs do not agree about.
fn is_treacherous(sign: char) -> bool {
    matches!(sign, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn no_turns(text: &str) -> garde::Result {
    if text.chars().any(is_treacherous) {
        return Err(garde::Error::new(
            "must not contain characters that turn the direction of text, nor U+2028 and U+2029",
        ));
    }
    Ok(())
}

/// One line with something in it.
pub fn title(text: &str, cx: &()) -> garde::Result {
    validate::filled_line(text, cx)?;
    no_turns(text)
}

/// Several lines with something in them.
pub fn prose(text: &str, cx: &()) -> garde::Result {
    if text.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    lines(text, cx)
}

/// Several lines, perhaps with nothing in them.
pub fn lines(text: &str, cx: &()) -> garde::Result {
    validate::text(text, cx)?;
    no_turns(text)
}

/// A name, where there is one.
pub fn name_opt(name: &Option<String>, cx: &()) -> garde::Result {
    name.as_deref().map_or(Ok(()), |name| title(name, cx))
}

/// A reason for hiding, and none for showing.
pub fn reason_for(state: &State) -> impl FnOnce(&Option<String>, &()) -> garde::Result + '_ {
    move |reason, cx| match (state, reason) {
        (State::Visible, None) => Ok(()),
        (State::Visible, Some(_)) => Err(garde::Error::new("must be left out when a review is shown")),
        (State::Hidden, None) => Err(garde::Error::new("is needed when a review is hidden")),
        (State::Hidden, Some(reason)) => prose(reason, cx),
    }
}

/// Text with each line ended by `\n`: browsers' forms send `\r\n`.
pub fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_deceive_are_refused_and_others_are_not() {
        for good in [
            "שלום \u{200F}עולם",
            "👩‍👩‍👧 family",
            "<script>alert(1)</script>",
            "a\u{AD}b",
        ] {
            assert!(title(good, &()).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "  ",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{85}",
            "\u{202E}gnp.exe",
            "\u{2066}x",
            "a\u{2028}b",
        ] {
            assert!(title(bad, &()).is_err(), "{bad:?}");
        }
        assert!(prose("a\r\n\tb", &()).is_ok());
        assert!(prose("\r\n", &()).is_err());
        assert_eq!(with_line_feeds("a\r\nb\rc\n"), "a\nb\nc\n");
    }
}
