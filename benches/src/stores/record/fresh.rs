//! The same commands with other ids: an event that is appended again under its old id would be left out as known.

use uuid::Uuid;

use super::Command;

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
        Command::Simple(_) => None,
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
}
