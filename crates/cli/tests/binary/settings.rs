//! Settings out of the file and the environment: where the store is, and how long it is kept.

use chrono::TimeDelta;

use super::room::{Room, lines, questions};

#[test]
fn how_long_things_are_kept_is_set_and_seen_and_heeded() {
    let room = Room::empty();
    room.write("taximeter.toml", "[keep]\noperations = '10d'\nminutes = '1d'\nbytes = '2GB'\n");
    room.write("operations.jsonl", &lines(&questions(9_000, TimeDelta::days(20))));
    room.run(&["import", "operations.jsonl"]).well();
    let stats = room.json(&["store", "stats"]);
    // Operations go by the thousands, once the last of them is too old: of twenty days no more than ten are gone.
    let left = stats["operations"].as_u64().unwrap();
    assert!((4_500..9_000).contains(&left), "{stats}");
    let kept = stats["keep"].as_array().unwrap();
    let of = |what: &str| kept.iter().find(|one| one["what"] == what).unwrap();
    assert_eq!(
        (&of("operations")["setting"], &of("bytes")["setting"]),
        (&"10d".into(), &"2000000000".into())
    );
    assert!(of("minutes")["since"].is_string() && of("days")["since"].is_null(), "{stats}");
    // Their sums stay, and a report of two days is of whole hours now.
    let report = room.json(&["report", "--since", "all"]);
    assert_eq!(report["total_operations"], 9_000);
    let two_days = room.json(&["report", "--since", "2d"]);
    assert!(two_days["since"].as_str().unwrap().ends_with(":00:00Z"), "{}", two_days["since"]);
    let shown = room
        .run_with(&["store", "stats", "--width", "120"], &[("TAXIMETER_KEEP_HOURS", "400d")])
        .well();
    assert!(shown.contains("400d") && shown.contains("TAXIMETER_KEEP_HOURS"), "{shown}");
    let wrong = room.run_with(&["report"], &[("TAXIMETER_KEEP_BYTES", "a lot")]);
    assert!(wrong.code == 1 && wrong.errors.contains("keep.bytes"), "{}", wrong.errors);
}
