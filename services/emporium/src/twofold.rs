//! Two contents that have to be equal, table by table, for people.

use comfy_table::{Table, presets};

use crate::watch::count;

/// A table, or a kind of record, of which there are two.
pub(crate) struct Twofold<'a> {
    pub name: &'a str,
    pub rows: [i64; 2],
    /// What is not known has no digest.
    pub digests: [Option<&'a str>; 2],
    pub equal: bool,
}

/// A row each; `sides` names the two.
pub(crate) fn table<'a>(sides: [&str; 2], all: impl IntoIterator<Item = Twofold<'a>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let [one, other] = sides;
    table.set_header([
        "table".to_owned(),
        format!("rows {one}"),
        format!("rows {other}"),
        format!("digest {one}"),
        format!("digest {other}"),
        String::new(),
    ]);
    table.add_rows(all.into_iter().map(|both| {
        let known = |digest: Option<&str>| digest.unwrap_or("–").to_owned();
        [
            both.name.to_owned(),
            count(both.rows[0]),
            count(both.rows[1]),
            known(both.digests[0]),
            known(both.digests[1]),
            if both.equal { "equal" } else { "DIFFERENT" }.to_owned(),
        ]
    }));
    table
}
