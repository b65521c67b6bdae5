//! Redis commands: arrays of bulk strings.

use anyhow::{Context, bail};

use super::Command;

/// Takes the complete commands off the front of `bytes`.
pub fn commands(bytes: &mut Vec<u8>) -> anyhow::Result<Vec<Command>> {
    let (mut commands, mut done) = (Vec::new(), 0);
    while let Some((command, used)) = command(&bytes[done..])? {
        commands.push(Command::Redis(command));
        done += used;
    }
    bytes.drain(..done);
    Ok(commands)
}

/// The first command with its length, if all of it is there.
fn command(bytes: &[u8]) -> anyhow::Result<Option<(Vec<Vec<u8>>, usize)>> {
    let Some((count, mut at)) = number(bytes, b'*')? else {
        return Ok(None);
    };
    let mut arguments = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((length, used)) = number(&bytes[at..], b'$')? else {
            return Ok(None);
        };
        at += used;
        let Some(argument) = bytes
            .get(at..at + length)
            .filter(|_| bytes.len() >= at + length + 2)
        else {
            return Ok(None);
        };
        arguments.push(argument.to_vec());
        at += length + 2;
    }
    Ok(Some((arguments, at)))
}

/// A line of a mark and a number.
fn number(bytes: &[u8], mark: u8) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    if bytes[0] != mark {
        bail!("no Redis command");
    }
    let number = std::str::from_utf8(&bytes[1..end])?
        .parse()
        .context("no length")?;
    Ok(Some((number, end + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_when_they_are_complete() {
        let mut bytes = b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n*1\r\n$4\r\nPI".to_vec();
        let read = commands(&mut bytes).unwrap();
        assert_eq!(read, [Command::Redis(vec![b"GET".to_vec(), b"a\r\n".to_vec()])]);
        bytes.extend_from_slice(b"NG\r\n");
        assert_eq!(
            commands(&mut bytes).unwrap(),
            [Command::Redis(vec![b"PING".to_vec()])]
        );
        assert!(bytes.is_empty());
        assert!(commands(&mut b"GET /\r\n".to_vec()).is_err());
    }
}
