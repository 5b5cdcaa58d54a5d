//! Files by the extension of their names.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::Error;

/// The kinds of table file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Text; tab-separated when the flag is set.
    Csv { tabs: bool },
    /// Parquet.
    Parquet,
}

/// The format that a file's name tells.
pub(super) fn format_of(path: &Path) -> Result<Format, Error> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match plain.rsplit('.').next() {
        Some("csv") => Ok(Format::Csv { tabs: false }),
        Some("tsv") => Ok(Format::Csv { tabs: true }),
        Some("parquet" | "pq") if plain == name => Ok(Format::Parquet),
        _ => Err(Error::Content {
            path: path.to_owned(),
            reason:
                "the name says neither CSV nor Parquet; use .csv or .tsv (with .gz or .zst behind when compressed), \
                     or .parquet"
                    .into(),
        }),
    }
}

/// A file as it is.
pub(super) fn open_file(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::File { doing: "open", path: path.to_owned(), source })
}

/// A file's bytes, decompressed.
pub(crate) fn open_bytes(path: &Path) -> Result<Box<dyn Read + Send>, Error> {
    let file = open_file(path)?;
    Ok(match path.extension().map(|extension| extension.to_ascii_lowercase()) {
        Some(extension) if extension == "gz" => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))),
        Some(extension) if extension == "zst" => {
            let decoder = zstd::stream::read::Decoder::new(file);
            Box::new(decoder.map_err(|source| Error::File { doing: "decompress", path: path.to_owned(), source })?)
        }
        _ => Box::new(file),
    })
}
