//! `taximeter sql`: the store asked by SQL.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use taximeter::StoreError;
use taximeter::history::VERSION;
use taximeter::report::count;
use taximeter::store::{Answer, Sql};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen, Tone};
use crate::select::PeriodArguments;

#[derive(Args)]
#[command(
    after_help = "The tables are operations, components, tool_calls and llm_calls, with all that began within --since and --until; \
    docs/FORMATS.md names their columns and has ten useful questions. Nothing can be changed by SQL.\n\n\
    Examples:\n  \
    taximeter sql \"SELECT name, count(*), avg(duration_ns) FROM operations GROUP BY name\"\n  \
    taximeter sql --since 7d --csv \"SELECT * FROM llm_calls\" > calls.csv\n  \
    taximeter sql --json --limit 5 \"SELECT id FROM operations ORDER BY duration_ns DESC\""
)]
pub(crate) struct Arguments {
    /// One statement that reads
    #[arg(value_name = "SELECT")]
    text: String,
    #[command(flatten)]
    period: PeriodArguments,
    /// So many rows at most
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    limit: usize,
    /// So many seconds at most
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    timeout: u64,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// An answer.
#[derive(Serialize)]
struct Table<'a> {
    taximeter_version: u32,
    document: &'static str,
    columns: &'a [String],
    rows: &'a [Vec<Value>],
    /// Whether there were more rows.
    cut: bool,
    /// Operations that could not be read, and are in no table.
    damaged: u64,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let period = arguments.period.read(context.now)?;
    let mut question = Sql::new(&arguments.text);
    (question.since, question.until) = (period.since, period.until);
    question.rows = arguments.limit;
    question.timeout = Duration::from_secs(arguments.timeout);
    let answer = context.sqlite()?.sql(&question).map_err(explained)?;
    if arguments.csv {
        csv(&answer, &mut context.raw(output))?;
    } else {
        let Answer { columns, rows, cut, damaged, .. } = &answer;
        let (cut, damaged) = (*cut, *damaged);
        let (taximeter_version, document) = (VERSION, "sql");
        let table = Table { taximeter_version, document, columns, rows, cut, damaged };
        context.print(output, &table, draw)?;
    }
    Ok(if answer.damaged > 0 { Ended::SomeRowsUnread } else { Ended::Done })
}

/// What the engine says is wrong with a statement is enough; what it forbids is told with why.
fn explained(error: StoreError) -> Box<dyn Error> {
    let StoreError::Failed { source, .. } = &error else { return error.into() };
    let said = source.to_string();
    if said.contains("not authorized") || said.contains("authorization denied") {
        let why = "asking by SQL: nothing can be changed by it, and nothing read but operations, components, tool_calls \
                   and llm_calls; write one SELECT";
        return why.into();
    }
    format!("asking by SQL: {}", said.trim_end_matches(": Error code 1: SQL logic error")).into()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv(answer: &Answer, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut table = csv::Writer::from_writer(output);
    table.write_record(&answer.columns)?;
    for row in &answer.rows {
        table.write_record(row.iter().map(text))?;
    }
    Ok(table.flush()?)
}

fn draw(screen: &mut Screen, table: &Table<'_>) {
    // Of a column that holds numbers alone, the digits stand one below the other.
    let column = |(at, title): (usize, &String)| {
        let cells =
            || table.rows.iter().filter_map(|row| row.get(at)).filter(|cell| !cell.is_null());
        let numbers = cells().next().is_some() && cells().all(Value::is_number);
        let rank = u8::try_from(at).unwrap_or(u8::MAX);
        if numbers { Column::number(title, rank) } else { Column::text(title, rank) }
    };
    let mut grid = Grid::new(table.columns.iter().enumerate().map(column));
    for row in table.rows {
        grid.row(row.iter().map(text));
    }
    screen.grid(&grid);
    let left_out = grid.left_out(screen.style());
    if left_out > 0 {
        screen.say(&format!(
            "There is no room for {} more columns; --json and --csv have all.",
            count(left_out as u64)
        ));
    }
    if table.cut {
        screen.say("There are more rows; --limit gives more.");
    }
    if table.damaged > 0 {
        screen.say_so(
            &format!("{} operations cannot be read: taximeter store repair", count(table.damaged)),
            Tone::Bad,
        );
    }
}
