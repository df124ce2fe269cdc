//! Known answers: rows of calls whose exact cost the public price tables agree on.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use taximeter_models::{CostOutcome, Money, TokenUsage};

use crate::{PriceBook, Query, Selector, Selectors};

const ROWS: &str = include_str!("../../tests-data/oracle.jsonl");

#[derive(Deserialize)]
struct Row {
    id: String,
    provider: String,
    model: String,
    at: DateTime<Utc>,
    context: std::collections::BTreeMap<String, String>,
    usage: RowUsage,
    expected_outcome: String,
    expected_cost_usd: Option<String>,
}

#[derive(Deserialize)]
struct RowUsage {
    input_tokens_excluding_cached: u64,
    cache_read_tokens: u64,
    cache_write_5m_tokens: u64,
    cache_write_1h_tokens: u64,
    output_tokens: u64,
}

impl RowUsage {
    fn usage(&self) -> TokenUsage {
        TokenUsage::exclusive(self.input_tokens_excluding_cached, self.output_tokens)
            .cache_read(self.cache_read_tokens)
            .cache_write_5m(self.cache_write_5m_tokens)
            .cache_write_1h(self.cache_write_1h_tokens)
            .build()
            .unwrap()
    }
}

fn selectors(row: &Row) -> Selectors {
    let with = |set: Selectors, (key, value): (&String, &String)| {
        set.with(Selector::from(key.as_str()), value)
    };
    row.context.iter().fold(Selectors::new(), with)
}

fn check(row: &Row) -> Result<(), String> {
    let (usage, selectors) = (row.usage.usage(), selectors(row));
    let query = Query {
        provider: Some(&row.provider),
        model: &row.model,
        at: row.at,
        usage: &usage,
        selectors: &selectors,
    };
    let outcome = PriceBook::embedded().price(&query);
    let word = match &outcome {
        CostOutcome::Priced(_) | CostOutcome::Free { .. } => "cost",
        CostOutcome::PartlyUnpriced { .. } => "unpriced_usage",
        other => other.as_str(),
    };
    let expected = row.expected_cost_usd.as_deref().map(|text| text.parse::<Money>().unwrap());
    let amount = outcome.amount().map(|(amount, _)| amount);
    let right = word == row.expected_outcome && (expected.is_none() || amount == expected);
    if right {
        Ok(())
    } else {
        Err(format!("{} {}: {word} {amount:?}, not {expected:?}", row.id, row.model))
    }
}

#[test]
fn all_rows_come_out_exactly() {
    let rows: Vec<Row> = ROWS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wrong: Vec<String> = rows.iter().filter_map(|row| check(row).err()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} rows differ:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    assert!(rows.len() > 100);
}
