//! The rules of ARCHITECTURE.md that can be read off the source files.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::fs;
use std::path::{Path, PathBuf};

use dev::stack::folders::project_root;

const SERVICES: [&str; 3] = ["cart", "loms", "notifier"];
const SHARED: [&str; 3] = ["shared-actors", "shared-actors/kafka", "shared-actors/service"];

/// The only files of the services that know actix: actors written by hand.
const HANDWRITTEN_ACTORS: [&str; 6] = [
    "cart/src/carts/actor.rs",
    "cart/src/carts/actor/checkout.rs",
    "cart/src/products/actor.rs",
    "loms/src/outbox/actor.rs",
    "notifier/src/channels/actor.rs",
    "notifier/src/inbox/actor.rs",
];

struct Source {
    /// The path within the project.
    path: String,
    /// The code, without comments and unit tests.
    code: String,
}

impl Source {
    fn is_below(&self, folder: &str) -> bool {
        self.path.split('/').any(|part| part == folder)
    }
}

/// The shipped code of a crate.
fn sources(krate: &str) -> Vec<Source> {
    let root = project_root().unwrap();
    let mut files = Vec::new();
    collect(&root.join(krate).join("src"), &mut files);
    assert!(!files.is_empty(), "{krate} has no source files");
    let source = |file: &PathBuf| Source {
        path: file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        code: code(&fs::read_to_string(file).unwrap()),
    };
    files.iter().map(source).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Fails if a file contains one of `words`, unless `except` allows that file.
#[track_caller]
fn forbid(sources: &[Source], words: &[&str], except: impl Fn(&Source) -> bool) {
    let breaks =
        |source: &&Source| !except(source) && words.iter().any(|word| source.code.contains(word));
    let broken: Vec<&str> =
        sources.iter().filter(breaks).map(|source| source.path.as_str()).collect();
    assert!(broken.is_empty(), "{broken:#?} must not contain any of {words:?}");
}

fn of_services(kept: impl Fn(&Source) -> bool) -> Vec<Source> {
    SERVICES.iter().flat_map(|service| sources(service)).filter(kept).collect()
}

#[test]
fn the_domain_knows_no_actor_database_or_wire_format() {
    let domain = of_services(|source| source.is_below("domain"));
    let words = [
        "actix",
        "sqlx",
        "tonic",
        "prost",
        "serde_json",
        "rdkafka",
        "::actor::",
        "::database::",
        "crate::api",
    ];
    forbid(&domain, &words, |_| false);
}

#[test]
fn front_ends_know_no_database() {
    let api = of_services(|source| source.is_below("api"));
    forbid(&api, &["sqlx", "::database::"], |_| false);
}

#[test]
fn services_name_actix_only_in_actors_written_by_hand() {
    forbid(&of_services(|_| true), &["actix::"], |source| {
        HANDWRITTEN_ACTORS.contains(&source.path.as_str())
    });
}

#[test]
fn sql_is_only_in_files_of_queries() {
    let is_queries =
        |source: &Source| source.path.ends_with("/queries.rs") || source.is_below("queries");
    forbid(&of_services(|_| true), &["sqlx::query"], is_queries);
}

#[test]
fn metrics_are_registered_only_through_the_constructors() {
    let all: Vec<Source> =
        SERVICES.iter().chain(&SHARED).flat_map(|krate| sources(krate)).collect();
    let words = [
        "register_int",
        "register_gauge",
        "register_histogram",
        "register_counter",
        "default_registry",
    ];
    forbid(&all, &words, |source| source.path == "shared-actors/src/metrics.rs");
}

#[test]
fn the_shared_code_knows_no_service() {
    let words = ["loms", "cart::", "notifier", "Sku", "OrderId", "order_id"];
    let shared: Vec<Source> = SHARED.iter().flat_map(|krate| sources(krate)).collect();
    forbid(&shared, &words, |_| false);
}

#[test]
fn the_actor_layer_depends_on_neither_sql_kafka_http_nor_grpc() {
    let manifest =
        fs::read_to_string(project_root().unwrap().join("shared-actors/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    for crate_name in
        ["sqlx", "rdkafka", "actix-web", "actix-http", "tonic", "reqwest", "service-kit"]
    {
        assert!(!dependencies.contains(&format!("\n{crate_name}")), "{crate_name}");
    }
}

#[test]
fn cart_does_not_link_the_client_of_kafka() {
    let manifest = fs::read_to_string(project_root().unwrap().join("cart/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    assert!(!dependencies.contains("kafka"), "{dependencies}");
}

#[test]
fn each_test_that_answers_an_attack_exists() {
    let root = project_root().unwrap();
    let page = fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let mut attacks = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| test |")) {
        let named: Vec<&str> = row.rsplit('`').skip(1).step_by(2).take(2).collect();
        let [test, file] = named[..] else { panic!("no test: {row}") };
        let code = fs::read_to_string(root.join(file).with_extension("rs"))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let (before, _) = code
            .split_once(&format!("fn {test}("))
            .unwrap_or_else(|| panic!("{file} has no function {test}"));
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        let is_test = attributes.contains("test]") || attributes.contains("test(");
        assert!(is_test && !attributes.contains("ignore"), "{test} in {file} is no test");
        attacks += 1;
    }
    assert!(attacks > 300, "{attacks} attacks");
}
