//! JSON schemas of the values that are written by hand; all others derive theirs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{Currency, Money, OperationId, OperationRecord, SpanId, ToolCall, Totals, TraceId};

/// A value that is written as text of a shape.
macro_rules! text {
    ($($value:ty, $name:literal, $pattern:literal, $told:literal;)+) => {$(
        impl JsonSchema for $value {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $told })
            }
        }
    )+};
}

text! {
    Money, "Money", r"^-?[0-9]+(\.[0-9]+)?$", "An exact amount, in US dollars unless a currency is named beside it.";
    Currency, "Currency", "^[A-Z]{3}$", "The code of a currency by ISO 4217.";
    OperationId, "OperationId", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "The id of an operation.";
    TraceId, "TraceId", "^[0-9a-f]{32}$", "The id of a trace.";
    SpanId, "SpanId", "^[0-9a-f]{16}$", "The id of a span.";
}

/// A value that is written as a document of its own.
macro_rules! document {
    ($($value:ty, $name:literal, $document:ty;)+) => {$(
        impl JsonSchema for $value {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$document>::json_schema(generator)
            }
        }
    )+};
}

document! {
    OperationRecord, "Operation", crate::operation_json::OperationDocument<'static>;
    ToolCall, "ToolCall", crate::operation_json::ToolCallDocument;
    Totals, "Totals", crate::session_json::TotalsDocument<'static>;
}
