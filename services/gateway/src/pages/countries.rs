//! Countries to choose from in address forms: where the shop's customers live. The users service knows all of them, and
//! an address from elsewhere (typed through the API) keeps its country.

use crate::pages::form::Choice;

const COUNTRIES: [(&str, &str); 45] = [
    ("GB", "United Kingdom"),
    ("IE", "Ireland"),
    ("AT", "Austria"),
    ("AU", "Australia"),
    ("BE", "Belgium"),
    ("BG", "Bulgaria"),
    ("BH", "Bahrain"),
    ("BR", "Brazil"),
    ("CA", "Canada"),
    ("CH", "Switzerland"),
    ("CY", "Cyprus"),
    ("CZ", "Czechia"),
    ("DE", "Germany"),
    ("DK", "Denmark"),
    ("EE", "Estonia"),
    ("ES", "Spain"),
    ("FI", "Finland"),
    ("FR", "France"),
    ("GG", "Guernsey"),
    ("GR", "Greece"),
    ("HK", "Hong Kong"),
    ("HR", "Croatia"),
    ("HU", "Hungary"),
    ("IL", "Israel"),
    ("IM", "Isle of Man"),
    ("IN", "India"),
    ("IS", "Iceland"),
    ("IT", "Italy"),
    ("JE", "Jersey"),
    ("JP", "Japan"),
    ("LB", "Lebanon"),
    ("LT", "Lithuania"),
    ("LU", "Luxembourg"),
    ("LV", "Latvia"),
    ("MT", "Malta"),
    ("NL", "Netherlands"),
    ("NO", "Norway"),
    ("NZ", "New Zealand"),
    ("PL", "Poland"),
    ("PT", "Portugal"),
    ("RO", "Romania"),
    ("SE", "Sweden"),
    ("SG", "Singapore"),
    ("SI", "Slovenia"),
    ("US", "United States"),
];

/// All choices, with `code` chosen. A code that is not among them is added, so that nothing changes by being shown.
pub fn choices(code: &str) -> Vec<Choice> {
    let choice = |value: &str, label: &str| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        selected: value == code,
    };
    let mut choices: Vec<Choice> = COUNTRIES
        .iter()
        .map(|(value, label)| choice(value, label))
        .collect();
    if !code.is_empty() && !choices.iter().any(|choice| choice.selected) {
        choices.push(choice(code, code));
    }
    choices
}

/// The name of a country; its code when it is not among the choices.
pub fn name(code: &str) -> &str {
    let known = COUNTRIES.iter().find(|(value, _)| *value == code);
    known.map_or(code, |(_, label)| label)
}
