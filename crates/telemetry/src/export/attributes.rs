//! Attributes of a span or a point, put together.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// Attributes, in the order in which they were put.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.put(key, Value::StringValue(value.to_owned()));
    }

    pub(super) fn some_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// A list of one text.
    pub(super) fn list(&mut self, key: &str, value: &str) {
        let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
        self.put(key, Value::ArrayValue(ArrayValue { values: vec![value] }));
    }

    /// A count; one that a signed number of 64 bits does not hold is left out.
    pub(super) fn count(&mut self, key: &str, count: u64) {
        if let Ok(count) = i64::try_from(count) {
            self.put(key, Value::IntValue(count));
        }
    }

    pub(super) fn number(&mut self, key: &str, number: f64) {
        self.put(key, Value::DoubleValue(number));
    }

    pub(super) fn flag(&mut self, key: &str, flag: bool) {
        self.put(key, Value::BoolValue(flag));
    }

    pub(super) fn into_inner(self) -> Vec<KeyValue> {
        self.0
    }

    fn put(&mut self, key: &str, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }
}
