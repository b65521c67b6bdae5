//! The same commands with other ids: an event that is appended again under its old id would be left out as known.

use uuid::Uuid;

use super::Command;

/// PostgreSQL's type of an id.
const UUID_OID: u32 = 2950;
/// And of an array of them, in which each has its length before it.
const UUIDS_OID: u32 = 2951;
const ARRAY_ID: [u8; 4] = [0, 0, 0, 16];
/// In BSON: a length of 16, and the subtype of ids.
const BSON_ID: [u8; 5] = [16, 0, 0, 0, 4];

/// The ids that are values of their own in PostgreSQL's and MongoDB's commands, each once.
pub fn ids_in(commands: &[Command]) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for command in commands {
        match command {
            Command::Statement(statement) => {
                let values = statement.parameters.iter().filter(|(oid, _)| *oid == UUID_OID);
                ids.extend(values.filter_map(|(_, value)| Uuid::from_slice(value.as_deref()?).ok()));
                let arrays = statement.parameters.iter().filter(|(oid, _)| *oid == UUIDS_OID);
                for bytes in arrays.filter_map(|(_, value)| value.as_deref()) {
                    ids.extend(after(bytes, &ARRAY_ID));
                }
            }
            Command::MongoDb(commanded) => {
                ids.extend(after(&commanded.bytes, &BSON_ID));
            }
            _ => {}
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    ids
}

/// The ids that stand after a mark.
fn after<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = Uuid> + 'a {
    let starts = places(bytes, mark).map(|at| at + mark.len());
    starts.filter_map(|at| Uuid::from_slice(bytes.get(at..at + 16)?).ok())
}

/// Where in a command's parts an id stands.
#[derive(Debug, Clone, Copy)]
struct Hole {
    command: usize,
    part: usize,
    offset: usize,
    /// As text of 36 characters, else as 16 bytes.
    as_text: bool,
    /// Which of the ids.
    id: usize,
}

/// Recorded commands in which ids can be replaced.
#[derive(Debug, Clone)]
pub struct Template {
    commands: Vec<Command>,
    holes: Vec<Hole>,
}

impl Template {
    /// Finds every place of `ids` in the commands.
    pub fn new(commands: Vec<Command>, ids: &[Uuid]) -> Self {
        let mut holes = Vec::new();
        for (number, command) in commands.iter().enumerate() {
            for part in 0.. {
                let mut copy = command.clone();
                let Some(bytes) = part_of(&mut copy, part) else {
                    break;
                };
                for (id, value) in ids.iter().enumerate() {
                    let text = value.to_string();
                    for (needle, as_text) in [(text.as_bytes(), true), (value.as_bytes().as_slice(), false)] {
                        holes.extend(places(bytes, needle).map(|offset| Hole {
                            command: number,
                            part,
                            offset,
                            as_text,
                            id,
                        }));
                    }
                }
            }
        }
        Self { commands, holes }
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.holes.len()
    }

    /// The commands with these ids.
    pub fn with(&self, ids: &[Uuid]) -> Vec<Command> {
        let mut commands = self.commands.clone();
        for hole in &self.holes {
            let Some(bytes) = part_of(&mut commands[hole.command], hole.part) else {
                continue;
            };
            let id = ids[hole.id];
            if hole.as_text {
                id.hyphenated()
                    .encode_lower(&mut bytes[hole.offset..hole.offset + 36]);
            } else {
                bytes[hole.offset..hole.offset + 16].copy_from_slice(id.as_bytes());
            }
        }
        commands
    }
}

fn places<'a>(bytes: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let all = bytes.windows(needle.len()).enumerate();
    all.filter_map(move |(at, window)| (window == needle).then_some(at))
}

/// A NULL is an empty part.
fn part_of(command: &mut Command, part: usize) -> Option<&mut [u8]> {
    match command {
        Command::Redis(arguments) => arguments.get_mut(part).map(Vec::as_mut_slice),
        Command::Statement(statement) => statement
            .parameters
            .get_mut(part)
            .map(|(_, value)| value.as_deref_mut().unwrap_or_default()),
        Command::MongoDb(commanded) => (part == 0).then_some(commanded.bytes.as_mut_slice()),
        // Nothing that is new each time goes to Neo4j here.
        Command::Simple(_) | Command::Cypher(_) => None,
        Command::Http(request) => (part == 0).then_some(request.body.as_mut_slice()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_id_is_replaced() {
        let (old, new) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let arguments = |id: Uuid| {
            Command::Redis(vec![
                b"XADD".to_vec(),
                format!(r#"{{"id":"{id}","again":"{id}"}}"#).into_bytes(),
                id.as_bytes().to_vec(),
            ])
        };
        let template = Template::new(vec![arguments(old)], &[old]);
        assert_eq!(template.places(), 3);
        assert_eq!(template.with(&[new]), [arguments(new)]);
    }

    #[test]
    fn ids_are_found_in_values_arrays_and_documents() {
        use super::super::{Commanded, Statement, Within};
        let ids: Vec<Uuid> = (1..=3_u128)
            .map(|number| Uuid::from_u128(u128::MAX / number))
            .collect();
        // One dimension, no NULL, the type, one element, from 1 on; the element's length.
        let array: Vec<u8> = [1_u32, 0, UUID_OID, 1, 1, 16]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
        let statement = Statement {
            sql: "".into(),
            persistent: true,
            parameters: vec![
                (UUID_OID, Some(ids[0].as_bytes().to_vec())),
                (UUIDS_OID, Some([array.as_slice(), ids[1].as_bytes()].concat())),
                (UUID_OID, Some(ids[0].as_bytes().to_vec())),
            ],
        };
        let document = Commanded {
            within: Within::Nothing,
            bytes: [BSON_ID.as_slice(), ids[2].as_bytes()].concat(),
        };
        let commands = [Command::Statement(statement), Command::MongoDb(document)];
        assert_eq!(ids_in(&commands), ids);
    }
}
