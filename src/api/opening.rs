//! The first bytes of a connection.
//!
//! They are the same for every HTTP/2 client, and read here with a deadline because the HTTP
//! library would wait for them for ever. What speaks anything else is known at its first wrong byte.
//! On a Unix socket one request of HTTP/1.1 is understood too; see [`super::page`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::page;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tongue {
    Http2,
    /// HTTP/1.1, and asks for the page.
    Page,
}

impl Tongue {
    fn opening(self) -> &'static [u8] {
        match self {
            Self::Http2 => PREFACE,
            Self::Page => page::OPENING,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum OpeningError {
    #[error("the connection ended before it began")]
    Ended(#[source] io::Error),
    #[error("the client speaks no protocol that is understood here")]
    Unknown,
}

/// Reads what a client sends first, tells which of `tongues` it speaks, and gives back a stream that
/// begins with what was read.
pub(super) async fn open<S: AsyncRead + Unpin>(
    mut stream: S,
    tongues: &[Tongue],
) -> Result<(Tongue, Opened<S>), OpeningError> {
    let mut read = 0;
    let mut bytes = [0; PREFACE.len()];
    loop {
        let so_far = bytes.get(..read).unwrap_or_default();
        let fits = |tongue: &&Tongue| tongue.opening().starts_with(so_far);
        let tongue = *tongues.iter().find(fits).ok_or(OpeningError::Unknown)?;
        let begin = tongue.opening();
        if read == begin.len() {
            return Ok((tongue, Opened { begin, stream }));
        }
        // Not a byte more than this opening has. No two of them begin alike.
        let rest = bytes.get_mut(read..begin.len()).unwrap_or_default();
        // The first byte tells which it is, so that a short opening is not waited for in vain.
        let rest = if read == 0 { rest.get_mut(..1).unwrap_or_default() } else { rest };
        match stream.read(rest).await.map_err(OpeningError::Ended)? {
            0 => return Err(OpeningError::Ended(io::ErrorKind::UnexpectedEof.into())),
            more => read = read.saturating_add(more),
        }
    }
}

/// A stream with the part in front of it that was read already.
#[derive(Debug)]
pub(super) struct Opened<S> {
    begin: &'static [u8],
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begin.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self.begin.split_at(self.begin.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.begin = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[Tongue] = &[Tongue::Http2, Tongue::Page];

    async fn opened(bytes: &[u8], tongues: &[Tongue]) -> Result<(Tongue, Vec<u8>), OpeningError> {
        let mut all = Vec::new();
        let (tongue, mut stream) = open(bytes, tongues).await?;
        stream.read_to_end(&mut all).await.unwrap();
        Ok((tongue, all))
    }

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        let whole = [PREFACE, b"\0\0\0\x04"].concat();
        assert_eq!(opened(&whole, BOTH).await.unwrap(), (Tongue::Http2, whole.clone()));
        let page = b"GET /metrics HTTP/1.1\r\n\r\n";
        assert_eq!(opened(page, BOTH).await.unwrap(), (Tongue::Page, page.to_vec()));
        for whole in [PREFACE, page::OPENING] {
            for cut in 0..whole.len() {
                let error = opened(&whole[..cut], BOTH).await.unwrap_err();
                assert!(matches!(error, OpeningError::Ended(_)), "{cut}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn anything_else_is_known_at_its_first_wrong_byte() {
        let others = [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"GET /metrics/",
            b"POST /metrics HTTP/1.1",
            b"PRI * HTTP/1",
            b"\x16\x03\x01",
            b"\0",
        ];
        for other in others {
            let error = opened(other, BOTH).await.unwrap_err();
            assert!(matches!(error, OpeningError::Unknown), "{other:?}: {error}");
        }
        let page = b"GET /metrics HTTP/1.1\r\n\r\n";
        let error = opened(page, &[Tongue::Http2]).await.unwrap_err();
        assert!(matches!(error, OpeningError::Unknown), "{error}");
    }
}
