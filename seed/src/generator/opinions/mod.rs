//! The words that reviews of generated products are made of.
//!
//! Everything here is data. In sentences `{noun}` is the thing, singular (`pair of socks` is one, too). Sentences speak of "it",
//! so that they fit every thing of the department. Changing anything changes the bytes, so the pinned digests in
//! `tests/generator_reviews.rs` change too.

mod departments;
mod general;
mod leisure;

pub use departments::DEPARTMENTS;
pub use general::{ANSWERS, CLOSERS, OPENERS, TITLES, Words};

/// Something that is praised or blamed.
pub struct Aspect {
    /// Slugs of the categories that it is about; empty: the whole department.
    pub only: &'static [&'static str],
    /// In a list of advantages.
    pub pro: &'static str,
    /// In a list of disadvantages.
    pub con: &'static str,
    /// Sentences of somebody who is content with it.
    pub praise: &'static [&'static str],
    /// Sentences of somebody who is not.
    pub blame: &'static [&'static str],
}

/// What people say in a department.
pub struct Department {
    /// What they judge by.
    pub aspects: &'static [Aspect],
    /// What they have to tell about themselves.
    pub stories: &'static [&'static str],
    /// Under photos.
    pub captions: &'static [&'static str],
    /// What is asked there, as an attribute: keys from the outside inwards, and answers, the most frequent first.
    pub asked: (&'static [&'static str], &'static [&'static str]),
}

const fn aspect(
    pro: &'static str,
    con: &'static str,
    praise: &'static [&'static str],
    blame: &'static [&'static str],
) -> Aspect {
    Aspect {
        only: &[],
        pro,
        con,
        praise,
        blame,
    }
}

impl Aspect {
    /// Only about these categories.
    const fn only(mut self, slugs: &'static [&'static str]) -> Self {
        self.only = slugs;
        self
    }

    /// Whether it is about a category.
    pub fn fits(&self, slug: &str) -> bool {
        self.only.is_empty() || self.only.contains(&slug)
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::{self, CATEGORY_COUNT, category};
    use super::*;

    #[test]
    fn every_category_has_enough_to_talk_about() {
        assert_eq!(DEPARTMENTS.len(), vocabulary::DEPARTMENTS.len());
        for (words, goods) in DEPARTMENTS.iter().zip(vocabulary::DEPARTMENTS) {
            assert!(words.stories.len() >= 4 && words.captions.len() >= 3);
            assert!(!words.asked.0.is_empty() && words.asked.1.len() >= 3);
            for category in goods {
                let fitting = words.aspects.iter().filter(|aspect| aspect.fits(category.slug));
                assert!(fitting.count() >= 5, "{}", category.slug);
            }
        }
    }

    #[test]
    fn aspects_name_categories_that_there_are() {
        let slugs: Vec<&str> = (0..CATEGORY_COUNT).map(|number| category(number).slug).collect();
        for aspect in DEPARTMENTS.iter().flat_map(|department| department.aspects) {
            assert!(
                aspect.only.iter().all(|slug| slugs.contains(slug)),
                "{:?}",
                aspect.only
            );
            assert!(
                !aspect.praise.is_empty() && !aspect.blame.is_empty(),
                "{}",
                aspect.pro
            );
        }
    }
}
