//! A trace as a tree of spans.

use std::collections::HashSet;

use super::Span;

/// The spans of one trace.
#[derive(Debug)]
pub struct Tree(pub Vec<Span>);

impl Tree {
    /// The only span of `service` with this name. Fails if there is none or more than one.
    #[track_caller]
    pub fn the(&self, service: &str, name: &str) -> &Span {
        let found = self.all(service, name);
        assert_eq!(found.len(), 1, "{service}: {name} in\n{}", self.drawn());
        found[0]
    }

    /// The spans of `service` with this name.
    pub fn all(&self, service: &str, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.service == service && span.name == name).collect()
    }

    /// The spans directly below `parent`.
    pub fn below<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a Span> {
        self.0.iter().filter(move |span| span.parent == parent)
    }

    /// Fails unless this path leads down from the span `top`. Each step is the service and name of
    /// a child span.
    #[track_caller]
    pub fn require_path(&self, top: &str, path: &[(&str, &str)]) {
        let mut reached = HashSet::from([top]);
        for (service, name) in path {
            let next = self.0.iter().filter(|span| {
                reached.contains(span.parent.as_str())
                    && span.service == *service
                    && span.name == *name
            });
            let next: HashSet<&str> = next.map(|span| span.id.as_str()).collect();
            assert!(
                !next.is_empty(),
                "no way down to {service}: {name} of {path:?} in\n{}",
                self.drawn()
            );
            reached = next;
        }
    }

    /// The tree as text, for failure messages.
    pub fn drawn(&self) -> String {
        let known: HashSet<&str> = self.0.iter().map(|span| span.id.as_str()).collect();
        let tops = self.0.iter().filter(|span| !known.contains(span.parent.as_str()));
        tops.map(|top| self.draw(top, 0)).collect()
    }

    fn draw(&self, span: &Span, depth: usize) -> String {
        let own = format!("{:1$}{2}: {3}\n", "", depth * 2, span.service, span.name);
        let below = self.below(&span.id).map(|span| self.draw(span, depth + 1));
        std::iter::once(own).chain(below).collect()
    }
}
