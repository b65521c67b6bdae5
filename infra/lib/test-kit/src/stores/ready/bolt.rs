//! Neo4j, asked in the words of its protocol: after the handshake and a `HELLO` it tells its version, to anybody.
//! Source: the Bolt protocol's specification, chapters on the handshake and on messages.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Answer;

/// Who speaks, and the versions that are spoken: 5.1 and 5.2, in which `HELLO` is short and without credentials.
const HANDSHAKE: [u8; 20] = [
    0x60, 0x60, 0xb0, 0x17, 0, 1, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
/// `HELLO {user_agent: "emporium-test/1"}`, in one chunk.
const HELLO: &[u8] = b"\x00\x1e\xb1\x01\xa1\x8auser_agent\x8femporium-test/1\x00\x00";
/// An answer of more bytes is no answer to that.
const ANSWER_MAX: usize = 4_096;

pub(super) async fn neo4j(url: &str) -> Result<Answer, String> {
    let address = url
        .rsplit_once('@')
        .or(url.split_once("://"))
        .map_or(url, |(_, host)| host);
    talk(address.trim_end_matches('/'))
        .await
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "it is no Neo4j".to_owned())
}

async fn talk(address: &str) -> std::io::Result<Option<Answer>> {
    let mut server = TcpStream::connect(address).await?;
    server.write_all(&HANDSHAKE).await?;
    let mut agreed = [0; 4];
    server.read_exact(&mut agreed).await?;
    if agreed == [0; 4] {
        return Ok(None);
    }
    server.write_all(HELLO).await?;
    let mut answer = Vec::new();
    // Chunks with their lengths, of which the last one is empty.
    loop {
        let length = usize::from(server.read_u16().await?);
        if length == 0 || answer.len() + length > ANSWER_MAX {
            break;
        }
        let begin = answer.len();
        answer.resize(begin + length, 0);
        server.read_exact(&mut answer[begin..]).await?;
    }
    Ok(version(&answer).map(|version| Answer {
        version,
        process: None,
    }))
}

/// What follows `Neo4j/` in the value of `server`.
fn version(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let (_, rest) = text.split_once("Neo4j/")?;
    let is_version = |sign: char| sign.is_ascii_digit() || sign == '.';
    Some(rest.chars().take_while(|sign| is_version(*sign)).collect())
}
