//! PostgreSQL's messages: statements as they are prepared and bound, and the rows that come back.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};

use super::{Command, Statement};

/// A connection's prepared statements by name, with their parameters' types.
#[derive(Default)]
pub struct Prepared {
    started: bool,
    statements: HashMap<Vec<u8>, (Arc<str>, Vec<u32>)>,
}

/// Takes the complete messages off the front of what a client sent.
pub fn commands(bytes: &mut Vec<u8>, prepared: &mut Prepared) -> anyhow::Result<Vec<Command>> {
    if !prepared.started {
        // The first message has no type.
        let Some(length) = bytes
            .first_chunk()
            .map(|length| u32::from_be_bytes(*length) as usize)
        else {
            return Ok(Vec::new());
        };
        if bytes.len() < length {
            return Ok(Vec::new());
        }
        bytes.drain(..length);
        prepared.started = true;
    }
    let mut commands = Vec::new();
    while let Some((kind, body)) = message(bytes)? {
        let mut rest = Rest(&body);
        match kind {
            b'P' => {
                let (name, sql) = (rest.text()?.to_vec(), std::str::from_utf8(rest.text()?)?);
                let types = (0..rest.short()?)
                    .map(|_| rest.long())
                    .collect::<anyhow::Result<_>>()?;
                prepared.statements.insert(name, (Arc::from(sql), types));
            }
            b'B' => commands.push(Command::Statement(bound(&mut rest, prepared)?)),
            b'Q' => commands.push(Command::Simple(std::str::from_utf8(rest.text()?)?.to_owned())),
            _ => {}
        }
    }
    Ok(commands)
}

fn bound(rest: &mut Rest<'_>, prepared: &Prepared) -> anyhow::Result<Statement> {
    let _portal = rest.text()?;
    let name = rest.text()?;
    let (sql, types) = prepared
        .statements
        .get(name)
        .context("a statement that nobody prepared")?;
    for _ in 0..rest.short()? {
        ensure!(rest.short()? == 1, "a parameter that is not in binary form");
    }
    let mut parameters = Vec::new();
    for number in 0..usize::from(rest.short()?) {
        let length = rest.long()?;
        let value = if length == u32::MAX {
            None
        } else {
            Some(rest.bytes(length as usize)?.to_vec())
        };
        parameters.push((types.get(number).copied().unwrap_or(0), value));
    }
    Ok(Statement {
        sql: sql.clone(),
        persistent: !name.is_empty(),
        parameters,
    })
}

/// Takes the complete messages off the front of what a server sent; gives the rows and the counts of rows. The rows of a
/// statement are sorted: where a statement asks for no order, the server may give another one each time.
pub fn answer(bytes: &mut Vec<u8>, rows: &mut Vec<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::new();
    while let Some((kind, body)) = message(bytes)? {
        match kind {
            b'D' => rows.push(body),
            b'C' => {
                rows.sort_unstable();
                answer.extend(rows.drain(..).flatten());
                answer.extend(body);
            }
            _ => {}
        }
    }
    Ok(answer)
}

fn message(bytes: &mut Vec<u8>) -> anyhow::Result<Option<(u8, Vec<u8>)>> {
    let Some((kind, length)) = bytes.split_first().and_then(|(kind, rest)| {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        (rest.len() >= length).then_some((*kind, length))
    }) else {
        return Ok(None);
    };
    ensure!(length >= 4, "no PostgreSQL message");
    let message: Vec<u8> = bytes.drain(..=length).collect();
    Ok(Some((kind, message[5..].to_vec())))
}

/// What of a message is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, length: usize) -> anyhow::Result<&'a [u8]> {
        let (bytes, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| anyhow!("a message ends early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn short(&mut self) -> anyhow::Result<u16> {
        Ok(u16::from_be_bytes(self.bytes(2)?.try_into()?))
    }

    fn long(&mut self) -> anyhow::Result<u32> {
        Ok(u32::from_be_bytes(self.bytes(4)?.try_into()?))
    }

    /// Up to the zero that ends it.
    fn text(&mut self) -> anyhow::Result<&'a [u8]> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .context("a text without an end")?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_head(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], length.as_slice(), body].concat()
    }

    #[test]
    fn statements_are_read_with_their_parameters() {
        let mut state = Prepared::default();
        let start = [&8_u32.to_be_bytes()[..], &[0, 3, 0, 0]].concat();
        let parse = with_head(b'P', b"s1\0SELECT $1\0\0\x01\0\0\0\x17");
        let bind = with_head(b'B', b"\0s1\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x05\0\0");
        let null = with_head(b'B', b"\0s1\0\0\x01\0\x01\0\x01\xff\xff\xff\xff\0\0");
        let mut bytes = [start, parse, bind, null, with_head(b'Q', b"COMMIT\0")].concat();
        let last = bytes.pop().unwrap();
        let statement = |value: Option<Vec<u8>>| {
            Command::Statement(Statement {
                sql: "SELECT $1".into(),
                persistent: true,
                parameters: vec![(23, value)],
            })
        };
        let read = commands(&mut bytes, &mut state).unwrap();
        assert_eq!(read, [statement(Some(vec![0, 0, 0, 5])), statement(None)]);
        bytes.push(last);
        let read = commands(&mut bytes, &mut state).unwrap();
        assert_eq!(read, [Command::Simple("COMMIT".to_owned())]);
    }

    #[test]
    fn rows_and_counts_are_the_answer() {
        let mut bytes = [
            with_head(b'2', b""),
            with_head(b'D', b"two"),
            with_head(b'D', b"one"),
            with_head(b'C', b"SELECT 2\0"),
            with_head(b'Z', b"I"),
        ]
        .concat();
        assert_eq!(answer(&mut bytes, &mut Vec::new()).unwrap(), b"onetwoSELECT 2\0");
    }
}
