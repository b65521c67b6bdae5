//! MongoDB's `OP_MSG`, <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>: commands without what the driver
//! puts into them each time, and what came back.

use std::collections::HashSet;

use anyhow::{Context, bail};
use mongodb::bson::{Document, RawDocumentBuf};

use super::{Command, Commanded, Within};

/// Length, number, number of what is answered, kind of message.
const HEADER: usize = 16;
const OP_MSG: i32 = 2013;
/// Fields of the driver's, or of the moment.
const DRIVERS: [&str; 8] = [
    "lsid",
    "txnNumber",
    "$clusterTime",
    "$db",
    "$readPreference",
    "startTransaction",
    "autocommit",
    "operationTime",
];
/// What drivers say by themselves.
const OWN: [&str; 5] = ["hello", "ismaster", "isMaster", "endSessions", "ping"];

/// Which requests are waited for.
pub type Waited = HashSet<i32>;

/// Takes the complete messages off the front of what a client said.
pub fn commands(bytes: &mut Vec<u8>, waited: &mut Waited) -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    for message in messages(bytes)? {
        let mut document = message.document()?;
        let name = document
            .keys()
            .next()
            .context("a command without a name")?
            .clone();
        if OWN.contains(&name.as_str()) {
            continue;
        }
        waited.insert(message.number);
        let within = match name.as_str() {
            "commitTransaction" => Within::Committing,
            "abortTransaction" => Within::Aborting,
            _ if document.contains_key("startTransaction") => Within::Beginning,
            _ if document.contains_key("autocommit") => Within::Transaction,
            _ => Within::Nothing,
        };
        if within == Within::Beginning {
            document.remove("readConcern");
        }
        strip(&mut document);
        let bytes = RawDocumentBuf::try_from(&document)?.into_bytes();
        commands.push(Command::MongoDb(Commanded { within, bytes }));
    }
    Ok(commands)
}

/// Takes the complete messages off the front of what a server said; gives the answers to what is waited for.
pub fn answer(bytes: &mut Vec<u8>, waited: &mut Waited) -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::new();
    for message in messages(bytes)? {
        if !waited.remove(&message.answers) {
            continue;
        }
        let mut document = message.document()?;
        strip(&mut document);
        answer.extend(RawDocumentBuf::try_from(&document)?.into_bytes());
    }
    Ok(answer)
}

fn strip(document: &mut Document) {
    for field in DRIVERS {
        document.remove(field);
    }
    // Of a snapshot's answer: which snapshot.
    if let Ok(cursor) = document.get_document_mut("cursor") {
        cursor.remove("atClusterTime");
    }
}

struct Message {
    number: i32,
    answers: i32,
    body: Vec<u8>,
}

impl Message {
    /// Of one section; the driver uses a second one for its own verbs of writing only.
    fn document(&self) -> anyhow::Result<Document> {
        // Four bytes of flags, one of the section's kind.
        let (Some(0), Some(body)) = (self.body.get(4), self.body.get(5..)) else {
            bail!("a message that is not of one document")
        };
        Ok(RawDocumentBuf::from_bytes(body.to_vec())?.try_into()?)
    }
}

fn messages(bytes: &mut Vec<u8>) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    loop {
        let number = |at: usize| {
            let four: Option<[u8; 4]> = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
            four.map(i32::from_le_bytes)
        };
        let (Some(length), Some(own), Some(answers), Some(kind)) =
            (number(0), number(4), number(8), number(12))
        else {
            return Ok(messages);
        };
        let length = usize::try_from(length)?;
        let Some(body) = bytes.get(HEADER..length) else {
            return Ok(messages);
        };
        if kind == OP_MSG {
            messages.push(Message {
                number: own,
                answers,
                body: body.to_vec(),
            });
        }
        bytes.drain(..length);
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    fn message(number: i32, answers: i32, document: &Document) -> Vec<u8> {
        let body = RawDocumentBuf::try_from(document).unwrap().into_bytes();
        let length = i32::try_from(HEADER + 5 + body.len()).unwrap();
        let mut bytes: Vec<u8> = [length, number, answers, OP_MSG, 0]
            .into_iter()
            .flat_map(i32::to_le_bytes)
            .collect();
        bytes.push(0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn commands_are_read_without_what_is_the_drivers() {
        let mut waited = Waited::new();
        let mut bytes = message(1, 0, &doc! { "hello": 1 });
        bytes.extend(message(
            2,
            0,
            &doc! { "find": "a", "lsid": { "id": 1 }, "startTransaction": true, "autocommit": false,
            "readConcern": { "level": "snapshot" } },
        ));
        let last = bytes.pop().unwrap();
        assert!(commands(&mut bytes, &mut waited).unwrap().is_empty());
        bytes.push(last);
        let found = commands(&mut bytes, &mut waited).unwrap();
        let expected = RawDocumentBuf::try_from(&doc! { "find": "a" })
            .unwrap()
            .into_bytes();
        assert_eq!(
            found,
            [Command::MongoDb(Commanded {
                within: Within::Beginning,
                bytes: expected
            })]
        );
        let mut told = message(7, 1, &doc! { "ok": 1 });
        told.extend(message(8, 2, &doc! { "ok": 1, "operationTime": 5 }));
        let expected = RawDocumentBuf::try_from(&doc! { "ok": 1 }).unwrap().into_bytes();
        assert_eq!(answer(&mut told, &mut waited).unwrap(), expected);
        assert!(waited.is_empty());
    }
}
