//! Reads a message as Go's protojson does. Both spellings of a member are accepted, but each member
//! only once. Whole numbers may use any notation, or be strings, and are read exactly. Unknown
//! members are ignored.

use std::collections::HashSet;
use std::fmt;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use service_kit::http::whole_number;

use super::MalformedJson;

/// Decodes the body into a message.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    body: &[u8],
) -> Result<DynamicMessage, MalformedJson> {
    let value: &RawValue = serde_json::from_slice(body).map_err(MalformedJson::Syntax)?;
    read_message(descriptor, value, "")
}

/// `path` is the path of `value`, such as `order.items[0]`. It is empty for the whole body.
fn read_message(
    descriptor: &MessageDescriptor,
    value: &RawValue,
    path: &str,
) -> Result<DynamicMessage, MalformedJson> {
    let members: Members<'_> = parsed(value, path, "must be an object")?;
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut seen = HashSet::new();
    for (name, value) in members.0 {
        let known = || {
            descriptor.get_field_by_json_name(&name).or_else(|| descriptor.get_field_by_name(&name))
        };
        let Some(field) = known() else { continue };
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        if !seen.insert(field.number()) {
            return Err(MalformedJson::member(path, "is given more than once"));
        }
        if value.get() != "null" {
            let value = read_field(&field, value, &path)?;
            message.set_field(&field, value);
        }
    }
    Ok(message)
}

fn read_field(
    field: &FieldDescriptor,
    value: &RawValue,
    path: &str,
) -> Result<Value, MalformedJson> {
    if !field.is_list() {
        return read_value(&field.kind(), value, path);
    }
    let items: Vec<&RawValue> = parsed(value, path, "must be an array")?;
    let item = |(index, item): (usize, &&RawValue)| {
        read_value(&field.kind(), item, &format!("{path}[{index}]"))
    };
    items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::List)
}

fn read_value(kind: &Kind, value: &RawValue, path: &str) -> Result<Value, MalformedJson> {
    match kind {
        Kind::Message(descriptor) => read_message(descriptor, value, path).map(Value::Message),
        Kind::String => parsed(value, path, "must be a string").map(Value::String),
        Kind::Int64 => whole(value, path).map(Value::I64),
        Kind::Uint64 => whole(value, path).map(Value::U64),
        Kind::Uint32 => whole(value, path).map(Value::U32),
        other => Err(MalformedJson::member(path.to_owned(), format!("{other:?} is not supported"))),
    }
}

/// Reads a whole number, or a string that contains one.
fn whole<T: TryFrom<i128>>(value: &RawValue, path: &str) -> Result<T, MalformedJson> {
    let wrong = || {
        let bits = 8 * size_of::<T>();
        MalformedJson::member(path.to_owned(), format!("must be a {bits}-bit integer"))
    };
    let text = value.get();
    let held: String;
    let number = if text.starts_with('"') {
        held = serde_json::from_str(text).map_err(|_| wrong())?;
        held.as_str()
    } else {
        text
    };
    whole_number(number).and_then(|number| T::try_from(number).ok()).ok_or_else(wrong)
}

fn parsed<'a, T: Deserialize<'a>>(
    value: &'a RawValue,
    path: &str,
    rule: &str,
) -> Result<T, MalformedJson> {
    serde_json::from_str(value.get()).map_err(|error| {
        if error.is_data() {
            MalformedJson::member(path.to_owned(), rule)
        } else {
            MalformedJson::Syntax(error)
        }
    })
}

/// The members of an object in their order, including repeated ones.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
