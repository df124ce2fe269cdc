//! The help: its examples are right, and completions and manual know every command.

use chrono::TimeDelta;

use super::room::{Room, planted, run};

/// Words as a shell takes them, as far as the examples go.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut open) = (vec![String::new()], None, false);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(mark), letter) if mark == letter => quote = None,
            (None, '"' | '\'') => (quote, open) = (Some(letter), true),
            (None, ' ') if open || !words.last().unwrap().is_empty() => {
                words.push(String::new());
                open = false;
            }
            (None, ' ') => {}
            (_, letter) => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The examples in the help of every command, as arguments.
fn examples(command: &clap::Command, into: &mut Vec<Vec<String>>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let text = help.replace("\\\n", " ");
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("taximeter ")) {
        let plain = line.split(" > ").next().unwrap().split(" | ").next().unwrap();
        let plain = plain.split(" < ").next().unwrap();
        into.push(words(plain));
    }
    command.get_subcommands().for_each(|inner| examples(inner, into));
}

#[test]
fn every_example_in_the_help_can_be_parsed_and_every_command_has_one() {
    let command = taximeter_cli::command();
    let mut all = Vec::new();
    examples(&command, &mut all);
    assert!(all.len() > 40, "only {} examples were found", all.len());
    for example in &all {
        let parsed = command.clone().try_get_matches_from(example);
        assert!(parsed.is_ok(), "{}: {}", example.join(" "), parsed.unwrap_err());
    }
    for inner in command.get_subcommands() {
        let found = all.iter().any(|example| example[1] == inner.get_name());
        assert!(found, "{} has no example", inner.get_name());
    }
}

#[test]
fn the_examples_of_questions_run() {
    let room = Room::new(planted(200, TimeDelta::days(12)));
    let mut all = Vec::new();
    examples(&taximeter_cli::command(), &mut all);
    let asks = [
        "report",
        "ops",
        "trend",
        "bottlenecks",
        "advise",
        "forecast",
        "top",
        "doctor",
        "models",
        "man",
        "completions",
    ];
    let runnable = all.iter().filter(|example| asks.contains(&example[1].as_str()));
    for example in runnable {
        let words: Vec<&str> = example[1..].iter().map(String::as_str).collect();
        let without_store: Vec<&str> = match words.iter().position(|word| *word == "--store") {
            Some(at) => [&words[..at], &words[at + 2..]].concat(),
            None => words,
        };
        let (code, _, errors) = room.ask(&without_store);
        assert!(code == 0, "{}: {code} {errors}", example.join(" "));
    }
}

#[test]
fn the_shell_and_the_manual_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert!(
            code == 0 && script.contains("forecast") && script.contains("--max-ratio")
                || shell == "fish" && script.contains("max-ratio"),
            "{shell}"
        );
    }
    let (code, page, _) = run(&["man"]);
    assert!(code == 0 && page.contains(".TH taximeter") && page.contains("report"), "{page}");
    let (code, page, _) = run(&["man", "gate"]);
    assert!(code == 0 && page.contains("max\\-ratio"), "{page}");
    let (code, _, errors) = run(&["man", "nothing"]);
    assert!(code == 1 && errors.contains("no command nothing"), "{errors}");
}
