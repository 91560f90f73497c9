//! The walls between crates, read from their manifests.

use super::tree::{TextFile, assert_none, numbered, tree};

/// A crate, the crates of ours it may use, and what it must know nothing of.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
    never: &'static [&'static str],
}

const HOUSE: [Room; 7] = [
    Room {
        name: "cli",
        may_use: &["api", "jobs", "marketing", "queue", "providers", "sandbox"],
        never: &[],
    },
    Room {
        name: "api",
        may_use: &["marketing", "queue"],
        never: &["anyhow", "sqlx", "reqwest"],
    },
    Room {
        name: "jobs",
        may_use: &["marketing", "queue", "providers"],
        never: &["anyhow", "sqlx", "axum"],
    },
    Room {
        name: "marketing",
        may_use: &["queue", "providers"],
        never: &["anyhow", "axum", "reqwest"],
    },
    Room {
        name: "queue",
        may_use: &[],
        never: &["anyhow", "axum", "reqwest"],
    },
    Room {
        name: "providers",
        may_use: &[],
        never: &["anyhow", "axum", "sqlx"],
    },
    Room {
        name: "sandbox",
        may_use: &[],
        never: &["anyhow", "sqlx"],
    },
];

#[test]
fn a_crate_uses_only_what_lies_below_it() {
    let mut findings = Vec::new();
    for file in tree() {
        let Some(name) = file
            .path
            .strip_prefix("crates/")
            .and_then(|path| path.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        match HOUSE.iter().find(|room| room.name == name) {
            Some(room) => findings.extend(broken_walls(room, &file)),
            None => findings.push(format!(
                "{}:1: a crate without walls: say in HOUSE what it may use",
                file.path
            )),
        }
    }

    assert_none(&findings);
}

#[test]
fn a_wall_stops_its_crate_in_every_way_to_write_a_dependency() {
    let room = &HOUSE[4];
    let manifest = TextFile {
        path: "crates/queue/Cargo.toml".to_owned(),
        text: "[package]\nname = \"queue\"\n\
               [dependencies]\njobs.workspace = true\naxum = \"0.8\"\nserde = \"1\"\n\
               [dependencies.providers]\nworkspace = true\n\
               [dev-dependencies]\nsandbox = {}\nreqwest = {}\napi = {}\n"
            .to_owned(),
    };

    let findings = broken_walls(room, &manifest);

    let lines: Vec<&str> = findings
        .iter()
        .filter_map(|finding| finding.split(':').nth(1))
        .collect();
    assert_eq!(lines, ["4", "5", "7", "12"]);
}

fn broken_walls(room: &Room, manifest: &TextFile) -> Vec<String> {
    let mut findings = Vec::new();
    let mut section = "";
    for (line, text) in numbered(&manifest.text) {
        if let Some(header) = text.strip_prefix('[') {
            section = header.trim_end_matches(']');
        }
        let name = match section.rsplit_once("dependencies") {
            Some((_, "")) => text.split(['.', ' ', '=', '[']).next(),
            Some((_, name)) if text.starts_with('[') => name.strip_prefix('.'),
            _ => None,
        };
        let Some(name) = name else {
            continue;
        };

        // Only what is shipped is walled in; and the sandbox may stand in for providers in any test,
        // since it uses nothing of ours.
        let is_for_tests = section.contains("dev-dependencies");
        let is_ours = HOUSE.iter().any(|room| room.name == name);
        let is_allowed = room.may_use.contains(&name) || (is_for_tests && name == "sandbox");
        let is_apalis = name.starts_with("apalis") && room.name != "queue";
        let is_unknown_here = room.never.contains(&name) && !is_for_tests;
        if (is_ours && !is_allowed) || is_apalis || is_unknown_here {
            findings.push(format!(
                "{}:{line}: {} must know nothing of {name}: see the map in ARCHITECTURE.md",
                manifest.path, room.name
            ));
        }
    }
    findings
}
