//! Every documented exit code, by a command that ends with it.

use chrono::TimeDelta;

use super::room::{Room, lines, questions};

#[test]
fn every_documented_code_is_what_a_shell_sees() {
    let room = Room::of(&questions(60, TimeDelta::hours(5)));
    room.write(
        "half.jsonl",
        &format!("{}{{\"operation_name\": 7}}\n", lines(&questions(2, TimeDelta::hours(1)))),
    );
    room.write("diary.db", "dear diary, this is no store");
    let price = ["price", "--provider", "openai", "--input", "1", "--model"];
    let cases: Vec<(i32, Vec<&str>)> = vec![
        (0, vec!["report"]),
        (0, vec!["--help"]),
        (
            0,
            vec![
                "gate",
                "--baseline",
                "outcome=success",
                "--measure",
                "duration",
                "--max-ratio",
                "9",
            ],
        ),
        (0, vec!["store", "check"]),
        (0, vec!["slo", "--target", "50"]),
        (1, vec!["show", "ffffffff"]),
        (1, vec!["report", "--store", "elsewhere"]),
        (1, vec!["report", "--store", "diary.db"]),
        (1, vec!["import", "nowhere.jsonl"]),
        (1, vec!["import"]),
        (1, vec!["sql", "DELETE FROM operations"]),
        (2, vec!["report", "--since", "soon"]),
        (2, vec!["report", "--by", "colour"]),
        (2, vec!["trend", "qa_response", "--at", "then"]),
        (2, vec!["slo", "--target", "100"]),
        (2, vec!["remeasure", "soon"]),
        (2, vec!["nothing"]),
        (2, vec![]),
        (3, [&price[..], &["gpt-0"]].concat()),
        (4, vec!["import", "half.jsonl"]),
        (
            5,
            vec![
                "gate",
                "--baseline",
                "outcome=success",
                "--failed",
                "--measure",
                "error_rate",
                "--max-ratio",
                "1.1",
            ],
        ),
        // One of ten fails, which is a hundred times what may.
        (5, vec!["slo", "--target", "99.9"]),
        (5, vec!["doctor", "--store", "diary.db"]),
        (
            6,
            vec![
                "gate",
                "--baseline",
                "user=user-1",
                "--user",
                "user-2",
                "--measure",
                "error_rate",
            ],
        ),
    ];
    for (code, arguments) in cases {
        let said = room.run(&arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}{}", said.output, said.errors);
        // What went wrong stands on standard error, and nothing else does.
        let is_error = matches!(code, 1 | 2);
        assert_eq!(!said.errors.is_empty(), is_error, "{arguments:?}: {}", said.errors);
    }
}

#[test]
fn what_is_forbidden_by_sql_says_so() {
    let room = Room::of(&questions(3, TimeDelta::hours(1)));
    let said = room.run(&["sql", "DELETE FROM operations"]);
    assert!(said.errors.contains("nothing can be changed by it"), "{}", said.errors);
    let said = room.run(&["sql", "GIVE 1"]);
    assert!(
        said.errors.contains("syntax error") && !said.errors.contains("code"),
        "{}",
        said.errors
    );
}
