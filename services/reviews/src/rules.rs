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

/// White space, and what Unicode calls `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`, version 16): a title of these
/// alone would be a link that nobody sees. U+2800 is the Braille cell without a dot.
fn shows_nothing(sign: char) -> bool {
    sign.is_whitespace()
        || matches!(sign, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

fn filled(text: &str) -> garde::Result {
    if text.chars().all(shows_nothing) {
        return Err(garde::Error::new("must not be empty"));
    }
    Ok(())
}

/// One line with something in it.
pub fn title(text: &str, cx: &()) -> garde::Result {
    filled(text)?;
    validate::line(text, cx)?;
    no_turns(text)
}

/// Several lines with something in them.
pub fn prose(text: &str, cx: &()) -> garde::Result {
    filled(text)?;
    lines(text, cx)
}

/// Several lines, perhaps with nothing in them.
pub fn lines(text: &str, cx: &()) -> garde::Result {
    validate::text(text, cx)?;
    no_turns(text)
}

/// Another service's text without the characters that no text here may have: it is shown beside texts of this service.
pub fn harmless(text: &str) -> String {
    text.chars()
        .filter(|sign| !sign.is_control() && !is_treacherous(*sign))
        .collect()
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
            "\u{200B}",
            "\u{2800} \u{3164}\u{FEFF}",
            "\u{E0041}\u{E0042}",
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
