//! The answer to a call. Its connection counts as busy until the client has taken it.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::net::Busy;

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    _busy: Busy,
}

impl Answer {
    /// Wraps `body`, which the client has to take from now on.
    pub(super) fn give(mut busy: Busy, body: Body) -> Body {
        busy.answers();
        Body::new(Self { body, _busy: busy })
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
