//! Opening a data set's file, plain or gzip.

use std::borrow::Cow;
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

/// What the bytes from 0x80 to 0x9f are in Windows-1252; five of them are nothing there and stay control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// What a decoder left of text: UTF-8 where it is that, else Windows-1252, which old shop systems export and which has
/// all of Latin-1's letters.
pub fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    let letter = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(*byte),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(letter).collect()),
    }
}

/// One line of text: white space of any kind, line breaks included, is one space between words and none around them.
/// None when there are other control characters, NUL among them, which no owner keeps.
pub fn one_line(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    // Nearly all texts are printable ASCII already.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("  ") {
        return Some(Cow::Borrowed(text));
    }
    if text
        .chars()
        .any(|sign| sign.is_control() && !sign.is_whitespace())
    {
        return None;
    }
    let is_tidy =
        |text: &str| !text.contains("  ") && !text.chars().any(|sign| sign.is_whitespace() && sign != ' ');
    if is_tidy(text) {
        return Some(Cow::Borrowed(text));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(Cow::Owned(words.join(" ")))
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
    fn white_space_becomes_one_space_and_control_characters_are_refused() {
        assert_eq!(
            one_line(" RED\t\r\n MUG\u{a0}\u{85}XL "),
            Some("RED MUG XL".into())
        );
        assert!(matches!(one_line("RED MUG"), Some(Cow::Borrowed("RED MUG"))));
        for wrong in ["RED\0MUG", "\u{1b}[31m", "\u{7f}", "\u{9b}31m", "\u{1c}"] {
            assert_eq!(one_line(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_read_as_windows_1252() {
        assert_eq!(
            decode_text(b"CHILDREN\x92S CAF\xc9 \x80\x9f\x81"),
            "CHILDREN’S CAFÉ €Ÿ\u{81}"
        );
        assert_eq!(decode_text(b"Gift Voucher \xa310.00"), "Gift Voucher £10.00");
        assert_eq!(decode_text("£10".as_bytes()), "£10");
    }
}
