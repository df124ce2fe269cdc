//! `cargo xtask prices diff OLD NEW`: what changed.

use std::error::Error;

use chrono::Utc;
use clap::Args;
use taximeter_sources::diff::{Difference, difference};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The old book: a file, or `embedded`
    old: String,
    /// The new book: a file, or `embedded`
    new: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Do not fail where a name vanished
    #[arg(long)]
    allow_vanished: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (old, new) = (super::open(&arguments.old)?, super::open(&arguments.new)?);
    let difference = difference(&old, &new, Utc::now());
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&difference)?);
    } else {
        show(&difference);
    }
    match difference.vanished.len() {
        0 => Ok(()),
        _ if arguments.allow_vanished => Ok(()),
        names => Err(format!(
            "{names} names vanished; carry them over with `prices import --previous OLD`"
        )
        .into()),
    }
}

fn show(difference: &Difference) {
    let Difference { came, vanished, statuses, prices } = difference;
    for name in vanished {
        println!("- {name}");
    }
    for name in came {
        println!("+ {name}");
    }
    for (name, old, new) in statuses {
        println!("  {name}: {old} -> {new}");
    }
    for change in prices {
        let or_none = |price: &Option<String>| price.clone().unwrap_or_else(|| "none".to_owned());
        let above = change.above.map_or_else(String::new, |bound| format!(" above {bound}"));
        let share = change.per_cent.map_or_else(String::new, |share| format!(" ({share} %)"));
        let way =
            if change.when.is_empty() { String::new() } else { format!(" [{}]", change.when) };
        let doubt = if change.is_doubtful() { " more than 20-fold!" } else { "" };
        println!(
            "  {}{way} {}{above}: {} -> {}{share}{doubt}",
            change.name,
            change.unit,
            or_none(&change.old),
            or_none(&change.new)
        );
    }
    println!(
        "{} names came, {} vanished; {} prices and {} statuses changed",
        came.len(),
        vanished.len(),
        prices.len(),
        statuses.len()
    );
}
