//! A trace that a test begins and the shop continues.

use uuid::Uuid;

/// A W3C trace context as a client sends it.
#[derive(Debug)]
pub struct Trace {
    id: String,
    parent: String,
}

impl Trace {
    /// A sampled trace with a random id.
    pub fn begin() -> Self {
        let parent = Uuid::new_v4().simple().to_string();
        Self { id: Uuid::new_v4().simple().to_string(), parent: parent[..16].to_owned() }
    }

    /// The trace's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of the client's own span.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The value of the `traceparent` header.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.id, self.parent)
    }

    /// Fails unless `traceparent` names a span of this trace.
    #[track_caller]
    pub fn assert_continued_by(&self, traceparent: &str) {
        let parts: Vec<&str> = traceparent.split('-').collect();
        assert_eq!(parts.len(), 4, "{traceparent} is no traceparent");
        assert_eq!(parts[1], self.id, "{traceparent} does not continue the client's trace");
        assert_eq!(parts[2].len(), 16, "{traceparent}");
    }
}
