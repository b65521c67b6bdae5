//! Bolt, <https://neo4j.com/docs/bolt/current/bolt/message/>: which statements with which parameters, and what rows came back.

use anyhow::{Context, bail, ensure};
use neo4rs::{
    BoltBoolean, BoltBytes, BoltFloat, BoltInteger, BoltList, BoltMap, BoltNull, BoltString, BoltType,
};

use super::{Command, Cypher};

/// Of the client's greeting and the server's choice of a version.
const GREETING: usize = 20;
const CHOICE: usize = 4;
/// Messages by their tags.
const BEGIN: u8 = 0x11;
const COMMIT: u8 = 0x12;
const ROLLBACK: u8 = 0x13;
const RUN: u8 = 0x10;
const ROW: u8 = 0x71;

/// Takes the complete messages off the front of what a client said.
pub fn commands(bytes: &mut Vec<u8>, greeted: &mut bool) -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    for message in messages(bytes, greeted, GREETING) {
        let [_, tag, fields @ ..] = message.as_slice() else {
            bail!("a message without a tag")
        };
        let command = match *tag {
            BEGIN => Command::Simple("BEGIN".to_owned()),
            COMMIT => Command::Simple("COMMIT".to_owned()),
            ROLLBACK => Command::Simple("ROLLBACK".to_owned()),
            RUN => Command::Cypher(Box::new(run(fields)?)),
            // Who it is, and that rows are to come.
            _ => continue,
        };
        commands.push(command);
    }
    Ok(commands)
}

/// Takes the complete messages off the front of what a server said; gives the rows.
pub fn answer(bytes: &mut Vec<u8>, greeted: &mut bool) -> Vec<u8> {
    let rows = messages(bytes, greeted, CHOICE);
    let rows = rows.into_iter().filter(|message| message.get(1) == Some(&ROW));
    rows.flatten().collect()
}

/// Messages are chunks with a length of two bytes each, and end with an empty one.
fn messages(bytes: &mut Vec<u8>, greeted: &mut bool, greeting: usize) -> Vec<Vec<u8>> {
    if !*greeted {
        if bytes.len() < greeting {
            return Vec::new();
        }
        bytes.drain(..greeting);
        *greeted = true;
    }
    let (mut messages, mut message, mut at, mut used) = (Vec::new(), Vec::new(), 0, 0);
    while let Some(&[high, low]) = bytes.get(at..at + 2) {
        let size = usize::from(u16::from_be_bytes([high, low]));
        let Some(chunk) = bytes.get(at + 2..at + 2 + size) else {
            break;
        };
        message.extend_from_slice(chunk);
        at += 2 + size;
        if size == 0 {
            if !message.is_empty() {
                messages.push(std::mem::take(&mut message));
            }
            used = at;
        }
    }
    bytes.drain(..used);
    messages
}

fn run(fields: &[u8]) -> anyhow::Result<Cypher> {
    let mut reader = Reader(fields);
    let BoltType::String(text) = reader.value()? else {
        bail!("a statement that is no text")
    };
    let BoltType::Map(parameters) = reader.value()? else {
        bail!("parameters without names")
    };
    Ok(Cypher {
        text: text.value,
        parameters,
    })
}

/// Reads `PackStream`, <https://neo4j.com/docs/bolt/current/packstream/>, as far as parameters need it.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> anyhow::Result<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("a message ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A big-endian number of so many bytes.
    fn number(&mut self, bytes: usize) -> anyhow::Result<i64> {
        let taken = self.take(bytes)?;
        let first = if taken.first().is_some_and(|byte| *byte >= 0x80) {
            -1
        } else {
            0
        };
        Ok(taken
            .iter()
            .fold(first, |number, byte| number << 8 | i64::from(*byte)))
    }

    fn length(&mut self, bytes: usize) -> anyhow::Result<usize> {
        let taken = self.take(bytes)?;
        Ok(taken
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn value(&mut self) -> anyhow::Result<BoltType> {
        let mark = self.take(1)?[0];
        let small = usize::from(mark & 0x0f);
        Ok(match mark {
            0x00..=0x7f | 0xf0..=0xff => BoltType::Integer(BoltInteger::new(i64::from(mark.cast_signed()))),
            0xc0 => BoltType::Null(BoltNull),
            0xc1 => BoltType::Float(BoltFloat::new(f64::from_bits(self.number(8)?.cast_unsigned()))),
            0xc2 | 0xc3 => BoltType::Boolean(BoltBoolean::new(mark == 0xc3)),
            0xc8..=0xcb => BoltType::Integer(BoltInteger::new(self.number(1 << (mark - 0xc8))?)),
            0xcc..=0xce => {
                let length = self.length(1 << (mark - 0xcc))?;
                BoltType::Bytes(BoltBytes::new(self.take(length)?.to_vec().into()))
            }
            0x80..=0x8f => self.text(small)?,
            0xd0..=0xd2 => {
                let length = self.length(1 << (mark - 0xd0))?;
                self.text(length)?
            }
            0x90..=0x9f => self.list(small)?,
            0xd4..=0xd6 => {
                let length = self.length(1 << (mark - 0xd4))?;
                self.list(length)?
            }
            0xa0..=0xaf => self.map(small)?,
            0xd8..=0xda => {
                let length = self.length(1 << (mark - 0xd8))?;
                self.map(length)?
            }
            _ => bail!("a parameter of a kind that is not known here: {mark:#x}"),
        })
    }

    fn text(&mut self, length: usize) -> anyhow::Result<BoltType> {
        let text = std::str::from_utf8(self.take(length)?)?;
        Ok(BoltType::String(BoltString::new(text)))
    }

    fn list(&mut self, length: usize) -> anyhow::Result<BoltType> {
        let values: anyhow::Result<Vec<BoltType>> = (0..length).map(|_| self.value()).collect();
        Ok(BoltType::List(BoltList::from(values?)))
    }

    fn map(&mut self, length: usize) -> anyhow::Result<BoltType> {
        let mut map = BoltMap::default();
        for _ in 0..length {
            let BoltType::String(key) = self.value()? else {
                bail!("a key that is no text")
            };
            let value = self.value()?;
            ensure!(map.value.insert(key, value).is_none(), "a key comes twice");
        }
        Ok(BoltType::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_when_they_are_complete() {
        let mut bytes = vec![0; GREETING];
        let mut greeted = false;
        assert!(commands(&mut bytes, &mut greeted).unwrap().is_empty() && greeted);
        // RUN "x" {a: -300, b: [true, "é"]} {}, in two chunks; then BEGIN {}.
        let message = b"\xb3\x10\x81x\xa2\x81a\xc9\xfe\xd4\x81b\x92\xc3\x82\xc3\xa9\xa0";
        let (first, second) = message.split_at(7);
        bytes.extend([0, 7]);
        bytes.extend(first);
        assert!(commands(&mut bytes, &mut greeted).unwrap().is_empty());
        bytes.extend([0, u8::try_from(second.len()).unwrap()]);
        bytes.extend(second);
        bytes.extend([0, 0, 0, 3, 0xb1, BEGIN, 0xa0, 0, 0]);
        let [Command::Cypher(cypher), Command::Simple(begin)] =
            &commands(&mut bytes, &mut greeted).unwrap()[..]
        else {
            panic!("two commands")
        };
        assert_eq!((cypher.text.as_str(), begin.as_str()), ("x", "BEGIN"));
        let mut expected = BoltMap::default();
        expected.put("a".into(), (-300).into());
        expected.put("b".into(), vec![BoltType::from(true), BoltType::from("é")].into());
        assert_eq!(cypher.parameters, expected);
        assert!(bytes.is_empty());
    }

    #[test]
    fn rows_are_the_answer() {
        let mut greeted = false;
        let mut bytes = vec![
            0, 0, 4, 5, 0, 3, 0xb1, 0x70, 0xa0, 0, 0, 0, 4, 0xb1, ROW, 0x91, 7, 0, 0,
        ];
        assert_eq!(answer(&mut bytes, &mut greeted), [0xb1, ROW, 0x91, 7]);
    }
}
