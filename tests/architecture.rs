//! The house stays as it is drawn in `docs/ARCHITECTURE.md`: who imports whom, and how files look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// A crate as the map draws it, or as its manifest says it is.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The table in ARCHITECTURE.md: rows of `| name | folder | purpose | imports |`.
fn drawn() -> (Imports, BTreeMap<String, String>) {
    let map = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the map is there");
    let (mut imports, mut folders) = (Imports::new(), BTreeMap::new());
    for line in map.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, folder, _, may_import] = cells.as_slice() else { continue };
        let name = name.trim_matches('`').to_owned();
        let names = may_import.split(',').map(|name| name.trim().trim_matches('`'));
        imports.insert(
            name.clone(),
            names.filter(|name| *name != "nothing of ours").map(Into::into).collect(),
        );
        folders.insert(name, folder.trim_matches('`').to_owned());
    }
    (imports, folders)
}

/// What the manifests say. The tests' own dependencies are for tests, so they count there and nowhere else.
fn built() -> (Imports, BTreeMap<String, String>) {
    let (mut imports, mut folders) = (Imports::new(), BTreeMap::new());
    let crates = fs::read_dir(root().join("crates")).expect("crates/ is there");
    let mut found: Vec<_> = crates.map(|entry| entry.expect("it can be read").path()).collect();
    found.extend(["xtask", "tests", "tests/fuzz"].map(|folder| root().join(folder)));
    for folder in found {
        let text =
            fs::read_to_string(folder.join("Cargo.toml")).expect("every crate has a manifest");
        let manifest: toml::Table = text.parse().expect("every manifest is TOML");
        let name =
            manifest["package"]["name"].as_str().expect("every package has a name").to_owned();
        let sections: &[&str] =
            if name == "taximeter-tests" { &["dev-dependencies"] } else { &["dependencies"] };
        let ours = sections
            .iter()
            .filter_map(|section| manifest.get(*section)?.as_table())
            .flat_map(toml::Table::keys)
            .filter(|key| key.starts_with("taximeter"))
            .cloned();
        let relative = folder.strip_prefix(root()).expect("it lies in the workspace");
        folders.insert(name.clone(), relative.display().to_string());
        imports.insert(name, ours.collect());
    }
    (imports, folders)
}

#[test]
fn the_map_shows_every_crate_and_who_it_imports() {
    let (drawn, drawn_folders) = drawn();
    let (built, built_folders) = built();
    assert_eq!(drawn_folders, built_folders, "docs/ARCHITECTURE.md and the folders differ");
    assert_eq!(drawn, built, "docs/ARCHITECTURE.md and the manifests differ");
}

#[test]
fn rooms_of_one_floor_do_not_know_each_other() {
    let (built, folders) = built();
    let rooms = ["collector", "pricing", "analysis", "persistence", "telemetry"]
        .map(|room| format!("taximeter-{room}"));
    for room in &rooms {
        let imports: Vec<_> = built[room].iter().collect();
        assert_eq!(imports, ["taximeter-models"], "{room} in {}", folders[room]);
    }
    assert!(built["taximeter-models"].is_empty() && built["taximeter-macros"].is_empty());
}

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }

    let mut sources = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        walk(&root().join(folder), &mut sources);
    }
    // What the compile-error tests feed to the compiler is wrong on purpose.
    sources.retain(|path| !path.starts_with(root().join("tests/ui")));
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    sources
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("it can be read");
        assert!(text.starts_with("//! "), "{} does not open with `//!`", path.display());
    }
}

#[test]
fn no_file_is_too_long() {
    const MOST: usize = 600;
    for path in sources() {
        let text = fs::read_to_string(&path).expect("it can be read");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().count();
        assert!(lines <= MOST, "{} has {lines} lines; {MOST} are the most", path.display());
    }
}

/// The compiler denies it wherever it is not said to be expected.
#[test]
fn unsafe_stands_in_one_place() {
    let word = ["unsafe", "_code"].concat();
    let has_it = |path: &PathBuf| fs::read_to_string(path).expect("it can be read").contains(&word);
    let places: Vec<_> = sources().into_iter().filter(has_it).collect();
    assert_eq!(places, [root().join("crates/telemetry/src/layer/behind.rs")]);
}

#[test]
fn the_light_crates_stay_light() {
    let tree = |package: &str| {
        let output = std::process::Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--package",
                package,
            ])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("names are text")
    };
    let pricing = tree("taximeter-pricing");
    for absent in ["taximeter-collector", "dashmap", "config", "sysinfo"] {
        assert!(!pricing.contains(absent), "taximeter-pricing depends on {absent}");
    }
    let facade = tree("taximeter");
    for absent in ["tokio", "axum", "hyper", "ureq", "rustls", "sysinfo", "comfy-table", "cc "] {
        assert!(!facade.contains(absent), "taximeter depends on {absent} by default");
    }
}
