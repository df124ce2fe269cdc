//! LiteLLM's form, by small tables, and the known answers.

mod oracle;

use crate::Origin;

fn origin() -> Origin {
    Origin {
        id: "LiteLLM".to_owned(),
        version: Some("1.109.1".to_owned()),
        url: None,
        checked_on: "2026-11-23".parse().ok(),
    }
}
