//! Where Claude Code and the Codex CLI keep their logs.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folders of logs that are there, by what this variable of the environment gives.
///
/// Claude Code writes to `projects` in the folders that `CLAUDE_CONFIG_DIR` names (separated by commas), else in
/// `~/.claude` and `~/.config/claude`; the Codex CLI to `sessions` and `archived_sessions` in `CODEX_HOME`, else in
/// `~/.codex`.
pub(super) fn folders(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let home = set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from);
    let at_home = |folder: &str| home.as_ref().map(|home| home.join(folder));
    let claude = match set("CLAUDE_CONFIG_DIR") {
        Some(named) => {
            let named = named.to_string_lossy();
            named.split(',').map(|folder| PathBuf::from(folder.trim())).collect::<Vec<_>>()
        }
        None => [".claude", ".config/claude"].into_iter().filter_map(at_home).collect(),
    };
    let codex = set("CODEX_HOME").map(PathBuf::from).or_else(|| at_home(".codex"));
    let claude = claude.into_iter().map(|folder| folder.join("projects"));
    let codex = codex.into_iter();
    let codex = codex.flat_map(|at| ["sessions", "archived_sessions"].map(|name| at.join(name)));
    claude.chain(codex).filter(|folder| folder.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn logs_are_found_at_home_and_where_variables_say() {
        let home = tempfile::tempdir().unwrap();
        for folder in [".claude/projects", ".codex/sessions", "other/projects", "more/projects"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        let at = |name: &str| home.path().join(name);
        let found = |set: &[(&str, OsString)]| {
            folders(|name| set.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone()))
        };
        let home_is = ("HOME", home.path().as_os_str().to_owned());
        assert_eq!(
            found(std::slice::from_ref(&home_is)),
            [at(".claude/projects"), at(".codex/sessions")]
        );
        let named = format!("{}, {}", at("other").display(), at("more").display());
        let named = ("CLAUDE_CONFIG_DIR", named.into());
        assert_eq!(
            found(&[home_is, named]),
            [at("other/projects"), at("more/projects"), at(".codex/sessions")]
        );
        assert!(found(&[]).is_empty());
    }
}
