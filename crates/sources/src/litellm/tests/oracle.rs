//! Known answers: calls with the cost that the table's own rules give them.

use super::origin;
use crate::{known_answers, litellm};

const TABLE: &str = include_str!("../../../tests-data/litellm/table.json");
const ROWS: &str = include_str!("../../../tests-data/litellm/rows.jsonl");

fn check_all(table: &str, rows: &str) -> usize {
    known_answers::check_all(litellm::read(table, &origin()).unwrap(), "litellm", rows, &[])
}

#[test]
fn all_rows_come_out_exactly() {
    assert!(check_all(TABLE, ROWS) > 100);
}

#[test]
#[ignore = "reads files of which TAXIMETER_LITELLM_TABLE and TAXIMETER_ORACLE give the paths"]
fn all_rows_of_the_full_table_come_out_exactly() {
    let rows = known_answers::file("TAXIMETER_ORACLE");
    assert!(check_all(&known_answers::file("TAXIMETER_LITELLM_TABLE"), &rows) > 690);
}
