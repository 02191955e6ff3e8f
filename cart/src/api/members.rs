//! The members of a JSON body. Their names are matched without regard to case, as in Go's
//! `encoding/json`, because the API's clients were written for it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use service_kit::http::whole_number;

use crate::domain::CartError;

/// A JSON object. Its values are parsed when they are read.
#[derive(Debug)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// The whole number under `name`, in any notation. `None` if there is no such member, or if its
    /// value is not a whole number.
    ///
    /// # Errors
    /// `InvalidArgument` if the member occurs twice, because it is unclear which one is meant.
    pub fn whole_number(&self, name: &'static str) -> Result<Option<i128>, CartError> {
        // Upper case also matches letters that fold together but differ in lower case, such as s
        // and ſ.
        let wanted = name.to_uppercase();
        let mut values = self.0.iter().filter(|(own, _)| own.to_uppercase() == wanted);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(CartError::invalid(name, "must be given only once")),
            (value, None) => Ok(value.and_then(|(_, value)| whole_number(value.get()))),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Quantity, UserId};

    #[test]
    fn fuzz_members() {
        bolero::check!().for_each(|body: &[u8]| {
            let members = serde_json::from_slice::<Members>(body);
            let whole: Result<serde_json::Map<_, _>, _> = serde_json::from_slice(body);
            assert!(whole.is_err() || members.is_ok());
            let Ok(members) = members else { return };
            for name in ["count", "user"] {
                if let Ok(Some(number)) = members.whole_number(name) {
                    let _ = (Quantity::from_json(Some(number)), UserId::from_json(Some(number)));
                }
            }
        });
    }

    fn count(body: &str) -> Result<Option<i128>, CartError> {
        serde_json::from_str::<Members>(body).unwrap().whole_number("count")
    }

    #[test]
    fn a_name_matches_without_regard_to_case() {
        for body in [r#"{"count": 5}"#, r#"{"Count": 5.0}"#, r#"{"x": [1], "COUNT": 5e0}"#] {
            assert_eq!(count(body), Ok(Some(5)), "{body}");
        }
        for body in [
            "{}",
            r#"{"counts": 5}"#,
            r#"{"count": "5"}"#,
            r#"{"count": null}"#,
            r#"{"count": 5.5}"#,
        ] {
            assert_eq!(count(body), Ok(None), "{body}");
        }
        let user = serde_json::from_str::<Members>(r#"{"uſer": 7}"#).unwrap();
        assert_eq!(user.whole_number("user"), Ok(Some(7)));
    }

    #[test]
    fn a_member_is_given_once() {
        for body in [r#"{"count": 5, "count": 5}"#, r#"{"count": 5, "Count": 6}"#] {
            let error = count(body).unwrap_err();
            assert!(
                matches!(error, CartError::InvalidArgument { field: "count", .. }),
                "{body}: {error}"
            );
        }
        assert_eq!(
            count(r#"{"note": 1, "Note": 2, "count": 3}"#),
            Ok(Some(3)),
            "others are ignored"
        );
    }
}
