//! The answer to a call. Its connection counts as busy until the client has taken it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::net::Busy;

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    /// What is left of a frame of the body.
    rest: Bytes,
    busy: Busy,
}

/// The server takes the next part of an answer when the client has room for some of it. Parts are
/// small so that a client with a tiny window counts as one that does not take its answer.
const PART_BYTES: usize = 16 * 1024;

impl Answer {
    fn next_part(&mut self) -> Frame<Bytes> {
        self.busy.progresses();
        let length = self.rest.len().min(PART_BYTES);
        Frame::data(self.rest.split_to(length))
    }
}

impl Answer {
    /// Wraps `body`, which the client has to take from now on.
    pub(super) fn give(mut busy: Busy, body: Body) -> Body {
        busy.answers();
        Body::new(Self { body, rest: Bytes::new(), busy })
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(self.next_part())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
