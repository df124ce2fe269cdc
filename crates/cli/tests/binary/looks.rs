//! How the first screen looks: its parts in their order, at the widths that people have, and in a pipe.

use chrono::TimeDelta;

use super::room::{Room, questions};

/// The headings of a screen with whatever depends on the moment left out.
fn headings(text: &str) -> Vec<String> {
    let mut headings = Vec::new();
    let lines: Vec<_> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if at == 0 || lines[at - 1].is_empty() {
            let plain = line.split(", 20").next().unwrap().split(": 20").next().unwrap();
            headings.push(
                plain.split(", in ").next().unwrap().split(", by ").next().unwrap().to_owned(),
            );
        }
    }
    headings
}

#[test]
fn the_first_screen_has_its_parts_in_their_order() {
    let room = Room::of(&questions(200, TimeDelta::days(20)));
    let text = room.run(&["report", "--since", "7d", "--budget", "0.05", "--width", "100"]).well();
    assert_eq!(
        headings(&text),
        [
            "taximeter report",
            "Alerts",
            "Needs attention",
            "In six numbers",
            "The budget of MONTH",
            "Spend by hour",
            "Tokens by hour",
            "Latency by hour",
            "p95 of the calls of each LLM by hour",
            "p95 of the first token of each LLM by hour",
            "Requests and errors by hour",
            "Where the time goes",
            "LLMs, the dearest first",
            "Tools",
            "Top spenders by operation",
            "Top spenders by user",
            "The dearest operations",
            "The slowest operations",
            "Tokens",
            "Savings",
            "How far to trust this",
        ]
        .map(|heading| heading.replace("MONTH", &chrono::Utc::now().format("%B %Y").to_string())),
        "{text}"
    );
    assert!(text.contains("the budget of $0.05 is gone"), "{text}");
}

#[test]
fn details_are_told_who_asks_for_them() {
    let room = Room::of(&questions(60, TimeDelta::hours(9)));
    let brief = room.run(&["report"]).well();
    let verbose = room.run(&["report", "--verbose"]).well();
    let debug = room.run(&["report", "--debug"]).well();
    assert!(!brief.contains("\nComponents\n") && verbose.contains("\nComponents\n"), "{verbose}");
    assert!(!verbose.contains("The newest operations") && debug.contains("The newest operations"));
    assert!(debug.contains("Where the numbers come from"), "{debug}");
    assert!(debug.contains("The sums of minutes since"), "{debug}");
}

#[test]
fn a_wide_screen_shows_more_than_a_narrow_one_and_a_pipe_has_no_colours() {
    let room = Room::of(&questions(60, TimeDelta::hours(9)));
    let at = |width: &str| room.run(&["report", "--width", width]).well();
    let (narrow, wide) = (at("80"), at("140"));
    for title in ["failures took", "of the time", "tok/s"] {
        assert!(wide.contains(title), "{title} is not in\n{wide}");
    }
    assert!(!narrow.contains("failures took"), "{narrow}");
    for (text, most) in [(&narrow, 80), (&wide, 140)] {
        assert!(text.lines().all(|line| textwrap::core::display_width(line) <= most));
        assert!(!text.contains('\u{1b}'), "a pipe has no colours");
    }
    // What the environment says is heeded, and what the argument says wins.
    let of = room.run_with(&["report"], &[("COLUMNS", "60")]).well();
    assert!(of.lines().all(|line| textwrap::core::display_width(line) <= 60));
    let coloured = room.run_with(&["report", "--color", "always"], &[("NO_COLOR", "1")]).well();
    assert!(coloured.contains('\u{1b}'));
}

/// What is seen on a terminal of so many columns; none where there is nobody to make one.
#[cfg(unix)]
fn on_a_terminal(room: &Room, columns: u16) -> Option<String> {
    let binary = env!("CARGO_BIN_EXE_taximeter");
    let shell = format!("stty cols {columns} rows 50; exec '{binary}' report");
    let mut script = std::process::Command::new("script");
    script.args(["-q", "-e", "-c", &shell, "/dev/null"]).current_dir(room.folder.path());
    script.env("HOME", room.folder.path()).env("TERM", "xterm").env_remove("NO_COLOR");
    let output = script.stdin(std::process::Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[cfg(unix)]
#[test]
fn a_terminal_is_as_wide_as_it_says_and_has_colours() {
    let room = Room::of(&questions(60, TimeDelta::hours(9)));
    let (Some(narrow), Some(wide)) = (on_a_terminal(&room, 80), on_a_terminal(&room, 140)) else {
        println!("skipped: there is no `script` that makes a terminal");
        return;
    };
    for (text, most) in [(&narrow, 80), (&wide, 140)] {
        assert!(text.contains("\u{1b}["), "a terminal has colours");
        for line in text.lines() {
            let plain: String =
                line.split('\u{1b}').enumerate().fold(String::new(), |plain, (at, part)| {
                    plain
                        + if at == 0 {
                            part
                        } else {
                            part.split_once('m').map_or(part, |(_, rest)| rest)
                        }
                });
            let columns = textwrap::core::display_width(plain.trim_end());
            assert!(columns <= most, "{columns} columns at {most}: {plain}");
        }
    }
    assert!(wide.contains("failures took") && !narrow.contains("failures took"), "{wide}");
}

#[test]
fn completions_and_the_manual_are_made() {
    let room = Room::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(room.run(&["completions", shell]).well().contains("report"), "{shell}");
    }
    let page = room.run(&["man"]).well();
    assert!(page.contains(".TH taximeter 1"), "{page}");
    for part in ["taximeter\\-report", ".SH OPTIONS"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let page = room.run(&["man", "report"]).well();
    assert!(page.contains(".TH taximeter-report 1") && page.contains("\\-\\-since"), "{page}");
}
