//! Length-prefixed frames.

use std::io::{Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Most bytes of a frame's body.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream ended between two frames.
    #[error("the stream ended")]
    Closed,
    /// The stream failed, or ended within a frame.
    #[error("reading or writing the stream")]
    Io(#[from] std::io::Error),
    /// The announced length is out of bounds.
    #[error("a frame of {length} bytes (1 to {MAX_FRAME} are allowed)")]
    Length {
        /// As announced.
        length: usize,
    },
    /// The body is not a message, or has bytes left over.
    #[error("a frame that is not a message: {0}")]
    Malformed(String),
}

/// The frame for `message`, length included.
///
/// # Errors
/// If the message is larger than [`MAX_FRAME`].
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut frame =
        postcard::to_extend(message, vec![0; 4]).map_err(|error| FrameError::Malformed(error.to_string()))?;
    let length = frame.len() - 4;
    let announced =
        u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(FrameError::Length { length })?;
    frame[..4].copy_from_slice(&announced.to_le_bytes());
    Ok(frame)
}

/// The message in a frame's body.
///
/// # Errors
/// If the body does not decode, or decodes with bytes left over.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    let (message, rest) =
        postcard::take_from_bytes(body).map_err(|error| FrameError::Malformed(error.to_string()))?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(FrameError::Malformed(format!("{} bytes left over", rest.len())))
    }
}

/// Reads one message; blocks until it is whole.
///
/// # Errors
/// [`FrameError::Closed`] at a clean end of the stream, otherwise as the variants say.
pub fn read_frame<T: DeserializeOwned>(stream: &mut impl Read) -> Result<T, FrameError> {
    let mut header = [0; 4];
    let mut have = 0;
    while have < header.len() {
        match stream.read(&mut header[have..]) {
            Ok(0) if have == 0 => return Err(FrameError::Closed),
            Ok(0) => return Err(FrameError::Io(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => have += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = u32::from_le_bytes(header) as usize;
    if length == 0 || length > MAX_FRAME {
        return Err(FrameError::Length { length });
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    decode(&body)
}

/// Writes one message and flushes.
///
/// # Errors
/// If the message is too large or the stream fails.
pub fn write_frame(stream: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    stream.write_all(&encode(message)?)?;
    stream.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FromAgent, ToAgent};

    #[test]
    fn a_message_survives_the_round_trip() {
        let message = ToAgent::Put {
            id: 7,
            path: "/tmp/x".into(),
            mode: 0o644,
            offset: 0,
            bytes: vec![1, 2, 3],
            last: true,
        };
        let frame = encode(&message).unwrap();
        let back: ToAgent = read_frame(&mut frame.as_slice()).unwrap();
        assert_eq!(back, message);
    }

    #[test]
    fn a_frame_cut_anywhere_is_an_error_and_never_a_message() {
        let frame = encode(&FromAgent::Failed(3, "no such file".into())).unwrap();
        for cut in 0..frame.len() {
            let end = read_frame::<FromAgent>(&mut &frame[..cut]).unwrap_err();
            assert_eq!(matches!(end, FrameError::Closed), cut == 0, "cut at {cut}: {end}");
        }
    }

    #[test]
    fn an_announced_length_out_of_bounds_is_refused_before_allocating() {
        for length in [0_u32, u32::MAX, 1024 * 1024 + 1] {
            let end = read_frame::<FromAgent>(&mut length.to_le_bytes().as_slice()).unwrap_err();
            assert!(matches!(end, FrameError::Length { .. }), "{length}: {end}");
        }
    }

    #[test]
    fn bytes_left_over_are_refused() {
        let mut frame = encode(&FromAgent::Done(1)).unwrap();
        frame.push(0);
        let longer = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&longer.to_le_bytes());
        assert!(matches!(read_frame::<FromAgent>(&mut frame.as_slice()), Err(FrameError::Malformed(_))));
    }
}
