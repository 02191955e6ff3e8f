//! The table of faults in docs/operations.md lists exactly the faults that tests cause.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// In two parts, so that the search does not find this file.
const CALL: &str = concat!("Fault::", "passed(");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first cell of each row between the two marks.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, from_mark) = text.split_once("<!-- faults -->").unwrap();
    let (table, _) = from_mark.split_once("<!-- /faults -->").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.skip(1).map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names that tests pass to `Fault::passed`.
fn caused() -> BTreeSet<String> {
    let mut files = Vec::new();
    for package in [
        "cart",
        "loms",
        "notifier",
        "shared-actors",
        "shared-actors/kafka",
        "shared-actors/service",
        "dev",
    ] {
        let tests = root().join(package).join("tests");
        if tests.is_dir() {
            sources(&tests, &mut files);
        }
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices(CALL) {
            let literal = text[at + CALL.len()..].trim_start();
            let name = literal.strip_prefix('"').and_then(|rest| rest.split('"').next());
            names.insert(
                name.unwrap_or_else(|| panic!("{}: a fault has a literal name", file.display()))
                    .to_owned(),
            );
        }
    }
    names
}

#[test]
fn each_row_of_the_table_of_faults_is_measured_by_a_test() {
    assert_eq!(documented(), caused());
}
