//! Bodies, decompressed: never into more than is allowed, whatever they claim to be.

use std::borrow::Cow;
use std::io::Read;

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use super::{DecodeError, Limits};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Encoding {
    /// The encoding of that name, as HTTP and gRPC write it; none for one that is not understood.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" | "zlib" => Self::Deflate,
            #[cfg(feature = "zstd")]
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Its name, as `Content-Encoding` has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// The names of those that are understood, for a client to choose from.
    pub(crate) const NAMES: &'static str =
        if cfg!(feature = "zstd") { "gzip, deflate, zstd" } else { "gzip, deflate" };
}

/// The body as it was before it was compressed.
pub(crate) fn decompress<'a>(
    body: &'a [u8],
    encoding: Encoding,
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    if body.len() > limits.body {
        return Err(DecodeError::TooLarge(limits.body));
    }
    match encoding {
        Encoding::Identity => Ok(Cow::Borrowed(body)),
        Encoding::Gzip => read("gzip", MultiGzDecoder::new(body), body.len(), limits),
        Encoding::Deflate => read("deflate", ZlibDecoder::new(body), body.len(), limits),
        #[cfg(feature = "zstd")]
        Encoding::Zstd => zstd(body, limits),
    }
}

/// How far back a frame may look: it takes as much memory before a byte is read. RFC 8878 asks decoders for 8 MiB.
#[cfg(feature = "zstd")]
const WINDOW: u64 = 8 << 20;

#[cfg(feature = "zstd")]
fn zstd<'a>(mut body: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, DecodeError> {
    let compressed = body.len();
    let error = |error: &dyn std::fmt::Display| DecodeError::Compression {
        encoding: "zstd",
        why: error.to_string(),
    };
    let mut whole = Vec::new();
    // A body may be several frames, one after the other.
    while !body.is_empty() {
        let decoder =
            ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut body, WINDOW);
        let frame = read("zstd", decoder.map_err(|why| error(&why))?, compressed, limits)?;
        if whole.len() + frame.len() > limits.body {
            return Err(DecodeError::TooLarge(limits.body));
        }
        whole.extend_from_slice(&frame);
    }
    Ok(Cow::Owned(whole))
}

fn read<'a>(
    encoding: &'static str,
    decoder: impl Read,
    compressed: usize,
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    let most = limits.body;
    let mut body = Vec::with_capacity(compressed.saturating_mul(4).min(most));
    let one_more = (most as u64).saturating_add(1);
    decoder
        .take(one_more)
        .read_to_end(&mut body)
        .map_err(|error| DecodeError::Compression { encoding, why: error.to_string() })?;
    if body.len() > most { Err(DecodeError::TooLarge(most)) } else { Ok(Cow::Owned(body)) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn back_as_it_was_and_no_more_than_allowed() {
        let limits = Limits { body: 1_000, ..Limits::default() };
        let body = decompress(&gzip(&[7; 1_000]), Encoding::Gzip, &limits).unwrap().into_owned();
        assert_eq!(body, [7; 1_000]);
        let too_much = gzip(&[7; 1_001]);
        let above = decompress(&too_much, Encoding::Gzip, &limits);
        assert_eq!(above, Err(DecodeError::TooLarge(1_000)));
        let broken = decompress(b"not gzip", Encoding::Gzip, &limits);
        assert!(matches!(broken, Err(DecodeError::Compression { encoding: "gzip", .. })));
        let cut = gzip(&[7; 1_000]);
        assert!(decompress(&cut[..cut.len() - 9], Encoding::Gzip, &limits).is_err());
    }

    #[test]
    #[cfg(feature = "zstd")]
    fn zstd_in_one_frame_or_several() {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};

        let limits = Limits { body: 1_000, ..Limits::default() };
        let frame = compress_to_vec(&[7_u8; 400][..], CompressionLevel::Fastest);
        let twice = [&frame[..], &frame[..]].concat();
        assert_eq!(decompress(&twice, Encoding::Zstd, &limits).unwrap().len(), 800);
        let thrice = [&twice[..], &frame[..]].concat();
        assert_eq!(decompress(&thrice, Encoding::Zstd, &limits), Err(DecodeError::TooLarge(1_000)));
        assert!(decompress(b"not zstd", Encoding::Zstd, &limits).is_err());
    }
}
