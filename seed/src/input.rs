//! Opening a data set's file, plain or gzip.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::ImportError;

/// One read of the file, large enough that system calls do not show.
const BUFFER_BYTES: usize = 256 * 1024;

/// The first two bytes of every gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens `path`; whether it is gzip is seen from its first bytes, not from its name.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, ImportError> {
    let failed = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(failed)?);
    let is_gzip = file.fill_buf().map_err(failed)?.starts_with(&GZIP_MAGIC);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

/// What a decoder left of text: UTF-8 where it is that, else Latin-1, which old shop systems export.
pub fn decode_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Reads the next line without its line end into `line`; false at the end of the input.
///
/// A line longer than `limit_bytes` is cut there and the rest of it skipped, so that no input can take all memory.
pub fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>, limit_bytes: usize) -> std::io::Result<bool> {
    line.clear();
    let mut limited = Read::take(&mut *reader, limit_bytes as u64);
    if limited.read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else {
        reader.skip_until(b'\n')?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    #[test]
    fn gzip_is_recognised_by_content() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let plain = folder.path().join("misnamed.gz");
        std::fs::write(&plain, "hello\n").expect("write");
        let packed = folder.path().join("misnamed.csv");
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&packed).expect("create"),
            flate2::Compression::fast(),
        );
        encoder.write_all(b"hello\n").expect("pack");
        encoder.finish().expect("finish");
        for path in [plain, packed] {
            let mut text = String::new();
            open(&path)
                .expect("open")
                .read_to_string(&mut text)
                .expect("read");
            assert_eq!(text, "hello\n");
        }
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let mut reader = Cursor::new(b"abcdefgh\r\nij\r\nk".to_vec());
        let mut line = Vec::new();
        let mut seen = Vec::new();
        while read_line(&mut reader, &mut line, 4).expect("read") {
            seen.push(String::from_utf8(line.clone()).expect("utf-8"));
        }
        assert_eq!(seen, ["abcd", "ij\r\n".trim_end(), "k"]);
    }

    #[test]
    fn text_that_is_not_utf8_is_read_as_latin1() {
        assert_eq!(decode_text(b"Gift Voucher \xa310.00"), "Gift Voucher £10.00");
        assert_eq!(decode_text("£10".as_bytes()), "£10");
    }
}
