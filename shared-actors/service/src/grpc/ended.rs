//! Streams of the health service and of reflection, which a client may keep open forever. They end
//! when the server does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::net::Busy;

/// The body of an answer. If it is still open when the server stops, it ends with UNAVAILABLE.
pub(super) struct Ended {
    body: Body,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
    _busy: Option<Busy>,
}

impl Ended {
    pub(super) fn when(ending: CancellationToken, busy: Option<Busy>, body: Body) -> Body {
        let ending = Box::pin(ending.cancelled_owned());
        Body::new(Self { body, ending, is_over: false, _busy: busy })
    }
}

impl http_body::Body for Ended {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // Pending messages go out first, such as the one that reports that the service no longer
        // serves.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.ending.as_mut().poll(cx));
        self.is_over = true;
        let mut trailers = HeaderMap::new();
        let ended = Status::unavailable("the server is stopping").add_header(&mut trailers);
        Poll::Ready(Some(ended.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
