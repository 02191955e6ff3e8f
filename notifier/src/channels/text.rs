//! The texts of notifications for people, from the templates in `notifier/templates`.

use std::str::FromStr;

use minijinja::{Environment, Error, Value, context};

use crate::events::OrderEvent;

/// The language of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl FromStr for Language {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "en" => Ok(Self::English),
            "ru" => Ok(Self::Russian),
            _ => Err("en or ru"),
        }
    }
}

impl Language {
    /// The template: a line for the subject, an empty line, and the body.
    const fn template(self) -> &'static str {
        match self {
            Self::English => include_str!("../../templates/en.txt"),
            Self::Russian => include_str!("../../templates/ru.txt"),
        }
    }
}

/// The text of one notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// One line.
    pub subject: String,
    /// Several lines.
    pub body: String,
}

/// Writes the texts in one language.
pub(super) struct Texts(Environment<'static>);

/// The name of the only template.
const TEMPLATE: &str = "notification.txt";

impl Texts {
    /// # Errors
    /// The template is wrong.
    pub fn new(language: Language) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.add_template(TEMPLATE, language.template())?;
        Ok(Self(environment))
    }

    /// The text about `event`.
    ///
    /// # Errors
    /// The template is wrong.
    pub fn about(&self, event: &OrderEvent) -> Result<Text, Error> {
        let lines = event.items.iter();
        let items: Vec<Value> = lines
            .map(|item| context! { sku => item.sku.get(), count => item.count.get() })
            .collect();
        let text = self.0.get_template(TEMPLATE)?.render(context! {
            order_id => event.order_id,
            state => event.state.as_str(),
            items => items,
            occurred_at => event.occurred_at.format("%Y-%m-%d %H:%M UTC").to_string(),
        })?;
        let (subject, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        Ok(Text { subject: subject.trim().to_owned(), body: format!("{}\n", body.trim()) })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use uuid::Uuid;

    use super::*;
    use crate::events::{Item, OrderState};

    fn event(state: OrderState) -> OrderEvent {
        let line = |sku, count| Item {
            sku: NonZeroU32::new(sku).unwrap(),
            count: NonZeroU32::new(count).unwrap(),
        };
        OrderEvent {
            event_id: Uuid::nil(),
            order_id: 1000,
            sequence: NonZeroU32::MIN,
            state,
            user_id: 7,
            items: vec![line(1002, 2), line(1003, 1)],
            occurred_at: "2026-11-23T15:04:05.678Z".parse().unwrap(),
        }
    }

    fn text(language: Language, state: OrderState) -> Text {
        Texts::new(language).unwrap().about(&event(state)).unwrap()
    }

    #[test]
    fn a_text_names_the_order_its_state_and_its_items() {
        let text = text(Language::English, OrderState::AwaitingPayment);
        assert_eq!(text.subject, "Order 1000 is waiting for your payment");
        assert_eq!(
            text.body,
            "Everything is in stock and reserved for you. Please complete your payment.\n\n\
             - 2 x SKU 1002\n- 1 x SKU 1003\n\nTime: 2026-11-23 15:04 UTC\n"
        );
    }

    #[test]
    fn every_state_has_a_text_of_its_own_in_every_language() {
        for (language, cancelled) in [
            (Language::English, "Order 1000 was cancelled"),
            (Language::Russian, "Заказ 1000 отменён"),
        ] {
            let mut subjects: Vec<String> = OrderState::ALL
                .into_iter()
                .map(|state| {
                    let Text { subject, body } = text(language, state);
                    assert!(subject.contains("1000") && !subject.contains('\n'), "{subject:?}");
                    assert!(body.contains("1002") && body.contains("1003"), "{body:?}");
                    subject
                })
                .collect();
            assert_eq!(subjects.last().map(String::as_str), Some(cancelled));
            subjects.sort();
            subjects.dedup();
            assert_eq!(subjects.len(), OrderState::ALL.len(), "{subjects:?}");
        }
    }
}
