//! Fields of forms: what was typed, and what is wrong with it, next to each other.

use emporium_service_kit::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A field with a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name in the form and in the services' `errors`; also the element's id.
    pub name: &'static str,
    /// What stands above it.
    pub label: &'static str,
    /// `text`, `email`, `password`, `textarea`, `select` or `radio`.
    pub kind: &'static str,
    /// What browsers may fill in.
    pub autocomplete: &'static str,
    /// A sentence below the label.
    pub hint: &'static str,
    /// What was typed. Never set for passwords.
    pub value: String,
    /// What is wrong with it.
    pub error: Option<String>,
    /// The shortest text, in characters.
    pub min: u16,
    /// The longest text, in characters.
    pub max: u16,
    /// False when it may stay empty.
    pub required: bool,
    /// What a select offers.
    pub choices: Vec<Choice>,
}

impl Field {
    /// A required line of text.
    pub fn new(name: &'static str, label: &'static str) -> Self {
        Self {
            name,
            label,
            kind: "text",
            autocomplete: "off",
            hint: "",
            value: String::new(),
            error: None,
            min: 0,
            max: 200,
            required: true,
            choices: Vec::new(),
        }
    }

    /// Another kind of input.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// What browsers may fill in.
    #[must_use]
    pub fn autocomplete(mut self, autocomplete: &'static str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    /// A sentence below the label.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    /// The bounds of its length, in characters.
    #[must_use]
    pub fn length(mut self, min: u16, max: u16) -> Self {
        (self.min, self.max) = (min, max);
        self
    }

    /// It may stay empty.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// A choice among these.
    #[must_use]
    pub fn choices(mut self, choices: Vec<Choice>) -> Self {
        self.kind = "select";
        self.choices = choices;
        self
    }

    /// What is in it. HTML has no control characters besides white space, so that others are left out; lines end with `\n`.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into().replace("\r\n", "\n");
        self.value
            .retain(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'));
        self
    }

    /// The ids of what describes it, for `aria-describedby`.
    pub fn described_by(&self) -> String {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = self.error.is_some().then(|| format!("{}-error", self.name));
        let ids: Vec<String> = error.into_iter().chain(hint).collect();
        ids.join(" ")
    }
}

/// Puts a service's complaints next to the fields they are about. Returns what is about none of them, for the top of the
/// form; `None` when every complaint found its field.
pub fn complain(fields: &mut [Field], problem: &Problem) -> Option<String> {
    let complaints = complaints(problem);
    if complaints.is_empty() {
        return Some(problem.detail.clone());
    }
    let mut homeless = Vec::new();
    for (name, message) in complaints {
        match fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.error = Some(sentence(field.label, &message)),
            None => homeless.push(format!("{name} {message}.")),
        }
    }
    (!homeless.is_empty()).then(|| homeless.join(" "))
}

fn complaints(problem: &Problem) -> Vec<(String, String)> {
    let Some(Value::Array(errors)) = problem.extensions.get("errors") else {
        return Vec::new();
    };
    let text = |error: &Value, key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    errors
        .iter()
        .filter_map(|error| Some((text(error, "field")?, text(error, "message")?)))
        .collect()
}

/// The validator speaks of lengths, people of characters.
fn sentence(label: &str, message: &str) -> String {
    if let Some(least) = message.strip_prefix("length is lower than ") {
        return format!("{label} must have at least {least} characters.");
    }
    if let Some(most) = message.strip_prefix("length is greater than ") {
        return format!("{label} must have at most {most} characters.");
    }
    format!("{label} {}.", message.trim_end_matches('.'))
}

/// A select's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// True for the one that is chosen.
    pub selected: bool,
}

/// Reads a value out of a text field, for ids in hidden fields: what does not parse was not made by our pages.
pub fn hidden<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_find_their_fields() {
        let mut fields = [Field::new("name", "Name"), Field::new("password", "Password")];
        let problem = Problem::invalid([
            ("password".to_owned(), "length is lower than 8".to_owned()),
            ("shoe".to_owned(), "must fit".to_owned()),
        ]);
        assert_eq!(complain(&mut fields, &problem).as_deref(), Some("shoe must fit."));
        assert_eq!(
            fields[1].error.as_deref(),
            Some("Password must have at least 8 characters.")
        );
        assert_eq!(fields[1].described_by(), "password-error");

        let whole = Problem::conflict("email-taken", "There is an account already.");
        assert_eq!(
            complain(&mut fields, &whole).as_deref(),
            Some("There is an account already.")
        );
    }
}
