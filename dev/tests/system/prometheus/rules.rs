//! The rules: they load, their test cases pass, and they link to the runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::prometheus::configuration;
use crate::support::promtool;

#[tokio::test]
async fn promtool_accepts_configuration_and_rules() {
    let (output, said) = promtool(&["check", "config", "prometheus.yml"], "").await;
    assert!(output.status.success(), "{said}");
    for rules in ["recording.rules.yml", "alerts.rules.yml"] {
        assert!(said.contains(rules), "{rules} is not loaded: {said}");
    }
}

#[tokio::test]
async fn rules_and_alerts_do_what_their_cases_say() {
    let cases: Vec<String> = case_files().iter().map(|file| file.display().to_string()).collect();
    let arguments: Vec<&str> =
        ["test", "rules"].into_iter().chain(cases.iter().map(String::as_str)).collect();
    let (output, said) = promtool(&arguments, "").await;
    assert!(output.status.success() && said.matches("SUCCESS").count() == cases.len(), "{said}");
}

#[test]
fn each_alert_has_a_case_that_fires_and_one_that_does_not() {
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for file in case_files() {
        for test in yaml(&file)["tests"].as_array().unwrap() {
            for case in test["alert_rule_test"].as_array().into_iter().flatten() {
                let name = case["alertname"].as_str().unwrap().to_owned();
                let fires = case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
                if fires {
                    firing.insert(name)
                } else {
                    quiet.insert(name)
                };
            }
        }
    }
    let alerts: BTreeSet<String> =
        alerts().into_iter().map(|alert| text(&alert["alert"])).collect();
    assert!(alerts.len() > 10);
    assert_eq!(firing, alerts, "cases that fire, and alerts");
    assert_eq!(quiet, alerts, "cases that do not fire, and alerts");
}

#[test]
fn each_alert_has_a_severity_and_a_section_of_the_runbook() {
    let runbook = fs::read_to_string(configuration().join("../../docs/runbook.md")).unwrap();
    let heading = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    let anchors: BTreeSet<String> =
        runbook.lines().filter(|line| line.starts_with('#')).map(heading).collect();
    for alert in alerts() {
        let name = text(&alert["alert"]);
        assert!(
            ["page", "ticket"].contains(&alert["labels"]["severity"].as_str().unwrap()),
            "{name}"
        );
        for annotation in ["summary", "description"] {
            assert!(
                !text(&alert["annotations"][annotation]).is_empty(),
                "{name} has no {annotation}"
            );
        }
        let link = text(&alert["annotations"]["runbook_url"]);
        let anchor =
            link.strip_prefix("docs/runbook.md#").unwrap_or_else(|| panic!("{name}: {link}"));
        assert!(anchors.contains(anchor), "{name} leads to {link}, which is not there");
    }
}

fn alerts() -> Vec<Value> {
    let rules = yaml(&configuration().join("alerts.rules.yml"));
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn case_files() -> Vec<PathBuf> {
    let files = fs::read_dir(configuration().join("tests")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

fn yaml(file: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
