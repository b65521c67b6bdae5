//! An HTTP/1.1 client that costs next to nothing: one blocking, kept-alive connection, requests as bytes, answers read
//! into one buffer. A general client would take more processor time than some of the requests that it measures.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

/// Longer than any request may take.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
const HEADERS_MAX: usize = 48;

/// A connection to one server.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

/// An answer; its body lives in the connection's buffer.
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body, without chunk marks.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// True for 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and the beginning of the body, for people.
    pub fn excerpt(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
        format!("{}: {body}", self.status)
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

struct Head {
    status: u16,
    bytes: usize,
    framing: Framing,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self {
            address,
            stream,
            buffer: Vec::with_capacity(64 * 1024),
            body: Vec::new(),
        })
    }

    /// Where it leads.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one request and reads its answer.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head = loop {
            self.fill()?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        match head.framing {
            Framing::Length(length) => {
                let end = head.bytes + length;
                while self.buffer.len() < end {
                    self.fill()?;
                }
                Ok(Answer {
                    status: head.status,
                    body: &self.buffer[head.bytes..end],
                })
            }
            Framing::Chunked => {
                self.read_chunks(head.bytes)?;
                Ok(Answer {
                    status: head.status,
                    body: &self.body,
                })
            }
        }
    }

    fn read_chunks(&mut self, mut at: usize) -> io::Result<()> {
        self.body.clear();
        loop {
            let (mark, size) = loop {
                match httparse::parse_chunk_size(&self.buffer[at..]) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => self.fill()?,
                    Err(_) => return Err(broken("a chunk's size cannot be read")),
                }
            };
            let size = usize::try_from(size).map_err(|_| broken("a chunk is too large"))?;
            let (start, end) = (at + mark, at + mark + size);
            while self.buffer.len() < end + 2 {
                self.fill()?;
            }
            self.body.extend_from_slice(&self.buffer[start..end]);
            at = end + 2;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let before = self.buffer.len();
        self.buffer.resize(before + 32 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn parse_head(buffer: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(buffer).map_err(|error| broken(&error.to_string()))?;
    let httparse::Status::Complete(bytes) = parsed else {
        return Ok(None);
    };
    let status = answer.code.unwrap_or(0);
    let named = |name: &str| {
        let mut found = answer
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        found
            .next()
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let framing = match (named("content-length"), named("transfer-encoding")) {
        (Some(length), _) => Framing::Length(
            length
                .trim()
                .parse()
                .map_err(|_| broken("a bad content-length"))?,
        ),
        (None, Some(_)) => Framing::Chunked,
        (None, None) if status == 204 || status == 304 => Framing::Length(0),
        (None, None) => return Err(broken("the answer does not say where it ends")),
    };
    Ok(Some(Head {
        status,
        bytes,
        framing,
    }))
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A request as bytes, written into `out`, which is cleared first.
pub fn write_request(out: &mut Vec<u8>, host: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) {
    out.clear();
    // Writing into memory cannot fail.
    let _ = write!(out, "{line} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    if body.is_empty() {
        let _ = write!(out, "\r\n");
    } else {
        let _ = write!(
            out,
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

/// Calls that prepare a measurement: JSON in, JSON out, anything but 2xx is an error.
pub struct Api {
    connection: Connection,
    token: Option<String>,
    request: Vec<u8>,
}

impl Api {
    /// Connects to the server at a base URL such as `http://127.0.0.1:8080`.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let connection =
            Connection::open(address_of(url)?).with_context(|| format!("connecting to {url}"))?;
        Ok(Self {
            connection,
            token: None,
            request: Vec::new(),
        })
    }

    /// From now on in the name of this session.
    pub fn sign_in_with(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// `line` is such as `GET /api/me`.
    pub fn call(&mut self, line: &str, body: &str) -> anyhow::Result<Value> {
        let text = self.text(line, body)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("reading the answer of {line}"))
    }

    /// As [`Api::call`], the answer as text.
    pub fn text(&mut self, line: &str, body: &str) -> anyhow::Result<String> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        write_request(&mut self.request, self.connection.address(), line, &headers, body);
        let answer = self
            .connection
            .exchange(&self.request)
            .with_context(|| line.to_owned())?;
        if !answer.is_success() {
            bail!("{line} answered {}", answer.excerpt());
        }
        Ok(String::from_utf8_lossy(answer.body).into_owned())
    }
}

/// The socket address of a base URL.
pub fn address_of(url: &str) -> anyhow::Result<SocketAddr> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    address
        .parse()
        .with_context(|| format!("{url} is no loopback URL"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with these pieces.
    fn server(pieces: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).unwrap();
                stream.flush().unwrap();
                std::thread::yield_now();
            }
        });
        address
    }

    fn ask(pieces: &'static [&'static str]) -> (u16, String) {
        let mut connection = Connection::open(server(pieces)).unwrap();
        let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[test]
    fn bodies_with_a_length_are_read_whole() {
        let pieces = &["HTTP/1.1 200 OK\r\ncontent-", "length: 5\r\n\r\nhe", "llo"];
        assert_eq!(ask(pieces), (200, "hello".to_owned()));
    }

    #[test]
    fn chunked_bodies_are_read_whole() {
        let pieces = &[
            "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel",
            "\r\n2\r",
            "\nlo\r\n0\r\n\r\n",
        ];
        assert_eq!(ask(pieces), (201, "hello".to_owned()));
    }

    #[test]
    fn an_empty_answer_has_no_body() {
        assert_eq!(ask(&["HTTP/1.1 204 No Content\r\n\r\n"]), (204, String::new()));
    }

    #[test]
    fn a_broken_connection_is_an_error() {
        let mut connection =
            Connection::open(server(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe"])).unwrap();
        assert!(connection.exchange(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }
}
