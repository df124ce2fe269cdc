//! Known answers: calls with the cost that the table's own rules give them.

use super::origin;
use crate::{genai, known_answers};

const TABLE: &str = include_str!("../../../tests-data/genai/table.json");
const ROWS: &str = include_str!("../../../tests-data/genai/rows.jsonl");

/// Rows that do not come out, each with its reason; see the README beside the table.
const SKIPPED: &[(&str, &str)] =
    &[("gp-06968", "is held to be wrong: it is the price of another provider")];

fn check_all(table: &str, rows: &str) -> usize {
    let import = genai::read(table, &origin()).unwrap();
    known_answers::check_all(import, "genai-prices", rows, SKIPPED)
}

#[test]
fn all_rows_come_out_exactly() {
    assert!(check_all(TABLE, ROWS) > 50);
}

#[test]
#[ignore = "reads files of which TAXIMETER_GENAI_TABLE and TAXIMETER_ORACLE give the paths"]
fn all_rows_of_the_full_table_come_out_exactly() {
    let rows = known_answers::file("TAXIMETER_ORACLE");
    assert!(check_all(&known_answers::file("TAXIMETER_GENAI_TABLE"), &rows) > 600);
}
