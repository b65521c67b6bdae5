//! HTTP/1.1 requests and answers, with a length or in chunks.

use anyhow::{Context, anyhow};

use super::{Command, Request};

const HEADERS_MAX: usize = 48;

/// Takes the complete requests off the front of `bytes`.
pub fn requests(bytes: &mut Vec<u8>) -> anyhow::Result<Vec<Command>> {
    let mut requests = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(start) = head.parse(bytes)? else {
            return Ok(requests);
        };
        let body = match header(head.headers, "transfer-encoding") {
            Some(_) => chunked(&bytes[start..])?,
            None => sized(&bytes[start..], length(head.headers)?.unwrap_or(0)),
        };
        let Some((body, used)) = body else {
            return Ok(requests);
        };
        requests.push(Command::Http(Request {
            method: head.method.unwrap_or_default().to_owned(),
            path: head.path.unwrap_or_default().to_owned(),
            content_type: header(head.headers, "content-type"),
            body,
        }));
        bytes.drain(..start + used);
    }
}

/// Takes the complete answers off the front of `bytes`; gives their bodies, of JSON without Elasticsearch's `took`.
pub fn answer(bytes: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = head.parse(bytes)? else {
            return Ok(answer);
        };
        let body = match length(head.headers)? {
            Some(length) => sized(&bytes[start..], length),
            None => chunked(&bytes[start..])?,
        };
        let Some((body, used)) = body else {
            return Ok(answer);
        };
        let is_json = header(head.headers, "content-type").is_some_and(|kind| kind.contains("json"));
        if is_json {
            let mut body: serde_json::Value =
                serde_json::from_slice(&body).context("an answer that is no JSON")?;
            strip(&mut body);
            answer.extend(body.to_string().into_bytes());
        } else {
            answer.extend(body);
        }
        bytes.drain(..start + used);
    }
}

/// A body of this length, if all of it is there.
fn sized(bytes: &[u8], length: usize) -> Option<(Vec<u8>, usize)> {
    bytes.get(..length).map(|body| (body.to_vec(), length))
}

/// A body in chunks and how many bytes they take, if all of it is there.
fn chunked(bytes: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let size = httparse::parse_chunk_size(&bytes[at..]);
        let size = size.map_err(|_| anyhow!("a chunk whose size cannot be read"))?;
        let httparse::Status::Complete((mark, size)) = size else {
            return Ok(None);
        };
        let (start, size) = (at + mark, usize::try_from(size)?);
        let Some(chunk) = bytes
            .get(start..start + size)
            .filter(|_| bytes.len() >= start + size + 2)
        else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn strip(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.remove("took");
            fields.values_mut().for_each(strip);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

fn length(headers: &[httparse::Header<'_>]) -> anyhow::Result<Option<usize>> {
    let length = header(headers, "content-length");
    length
        .map(|length| length.parse().context("no length"))
        .transpose()
}

fn header(headers: &[httparse::Header<'_>], name: &str) -> Option<String> {
    let found = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8_lossy(found.value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_read_when_they_are_complete() {
        let mut bytes =
            b"POST /p/_search?x=1 HTTP/1.1\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{"
                .to_vec();
        assert!(requests(&mut bytes).unwrap().is_empty());
        bytes.push(b'}');
        let [Command::Http(request)] = &requests(&mut bytes).unwrap()[..] else {
            panic!("one request")
        };
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/p/_search?x=1")
        );
        assert_eq!(request.body, b"{}");
        let body = r#"{"took":3,"hits":{"total":1}}"#;
        let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        let mut told = format!("{json}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        assert_eq!(answer(&mut told).unwrap(), br#"{"hits":{"total":1}}"#);
        let head = format!("{json}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut told = format!("{head}5\r\n{{\"a\":\r\n2\r\n1}}\r\n0\r\n\r").into_bytes();
        assert!(answer(&mut told).unwrap().is_empty());
        told.push(b'\n');
        assert_eq!(answer(&mut told).unwrap(), br#"{"a":1}"#);
        assert!(told.is_empty());
    }

    #[test]
    fn bodies_in_chunks_and_of_bytes_are_read() {
        let mut bytes =
            b"POST /?query=x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x00\xff\r\n0\r\n\r\n"
                .to_vec();
        let [Command::Http(request)] = &requests(&mut bytes).unwrap()[..] else {
            panic!("one request")
        };
        assert_eq!((&request.body[..], bytes.len()), (&b"\x00\xff"[..], 0));
        let mut told =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n\x00\xff".to_vec();
        assert_eq!(answer(&mut told).unwrap(), b"\x00\xff");
    }
}
