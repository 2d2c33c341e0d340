use std::collections::BTreeSet;

use super::*;
use crate::plan::effect::Due;
use crate::status::{ItemStatus, Tally, Waiting};
use crate::target::Item;
use crate::trust::host::RegistryHost;
use crate::verify::Verdict;

const SINCE: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn shown(status: &NodeStatus, api: Option<Api>) -> Vec<String> {
    page(status, api, at(SINCE)).lines().map(str::to_owned).collect()
}

fn harbor() -> Registry {
    let host: RegistryHost = "harbor.corp:8443".parse().unwrap();
    let proof =
        Proof { verdict: Verdict::Expired, said: String::new(), cure: String::new(), at: at(7) };
    let item =
        |on, state, proof| ItemStatus { item: Item { host: host.clone(), on }, state, proof };
    Registry {
        host: host.clone(),
        standing: Standing::Declared,
        owner: None,
        trust: Some("ca"),
        until: Some(at(3)),
        reason: None,
        ca_ends: Some(at(1)),
        client_ends: Some(at(2)),
        items: vec![
            item(Believer::Docker, State::InForce, Some(proof)),
            item(Believer::Containerd, State::Waiting("to restart".to_owned()), None),
        ],
    }
}

fn due(effect: Effect) -> Waiting {
    let due = Due {
        effect,
        command: effect.command(),
        reasons: BTreeSet::new(),
        items: BTreeSet::new(),
        gaining: BTreeSet::new(),
        cost: effect.cost(),
        withheld: None,
    };
    Waiting { due, because: String::new() }
}

#[test]
fn a_node_as_numbers() {
    let mut tally = Tally::default();
    tally.effect(Effect::ReloadDocker, Ended::Done);
    tally.effect(Effect::ReloadDocker, Ended::Done);
    tally.effect(Effect::RestartDocker, Ended::Failed);
    let status = NodeStatus {
        phase: Phase::Pending,
        generation: 12,
        registries: vec![harbor()],
        due: vec![due(Effect::RestartContainerd)],
        tally,
        ..NodeStatus::default()
    };
    let api = Api { certificate_ends: Some(at(5)), list_ends: None, in_trouble: true };
    let lines = shown(&status, Some(api));
    for expected in [
        "process_start_time_seconds 1800000000",
        "regtrust_phase{phase=\"pending\"} 1",
        "regtrust_phase{phase=\"settled\"} 0",
        "regtrust_generation 12",
        "regtrust_registries{standing=\"declared\"} 1",
        "regtrust_registries{standing=\"refused\"} 0",
        "regtrust_items{runtime=\"containerd\",state=\"waiting\"} 1",
        "regtrust_items{runtime=\"docker\",state=\"in-force\"} 1",
        "regtrust_effect_due{effect=\"restart-containerd\"} 1",
        "regtrust_effect_due{effect=\"reload-docker\"} 0",
        "regtrust_effects_total{effect=\"reload-docker\",result=\"done\"} 2",
        "regtrust_effects_total{effect=\"restart-docker\",result=\"failed\"} 1",
        "regtrust_trusted{host=\"harbor.corp:8443\",runtime=\"docker\"} 0",
        "regtrust_trust_checked_timestamp_seconds{host=\"harbor.corp:8443\",runtime=\"docker\"} 7",
        "regtrust_ca_expiry_timestamp_seconds{host=\"harbor.corp:8443\"} 1",
        "regtrust_client_certificate_expiry_timestamp_seconds{host=\"harbor.corp:8443\"} 2",
        "regtrust_exception_end_timestamp_seconds{host=\"harbor.corp:8443\"} 3",
        "regtrust_api_certificate_expiry_timestamp_seconds 5",
        "regtrust_api_tls_trouble 1",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}\n{}", lines.join("\n"));
    }
    let unknown = |line: &&String| line.starts_with("regtrust_api_crl");
    assert_eq!(lines.iter().find(unknown), None, "what is not known is not said");
}

/// As the format wants it: a parser that meets a line it does not understand drops the whole page.
#[test]
fn every_line_is_one_that_prometheus_reads() {
    let mut owners = NodeStatus::default();
    owners.owners.push(OwnerState {
        name: "a\"b\\c\nregtrust_phase 7".to_owned(),
        revision: 1,
        rank: 1,
        registries: 0,
        on_trial: false,
        trial_ends: None,
    });
    owners.registries.push(harbor());
    let lines = shown(&owners, Some(Api::default()));
    let mut family = "";
    let mut seen = BTreeSet::new();
    for line in &lines {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap();
            assert!(seen.insert(family), "{family} is said twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let kind = rest.strip_prefix(family).unwrap().trim_start();
            assert_eq!(kind == "counter", family.ends_with("_total"), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<i64>().is_ok(), "{line}");
            assert!(name == family || name.starts_with(&format!("{family}{{")), "{line}");
        }
    }
    let escaped = "regtrust_owner_revision{owner=\"a\\\"b\\\\c\\nregtrust_phase 7\"} 1";
    assert!(lines.iter().any(|line| line == escaped), "{}", lines.join("\n"));
}

#[test]
fn the_documentation_has_every_family_and_no_other() {
    let page = page(&NodeStatus::default(), None, at(SINCE));
    let named = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<(String, String)> = named
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            (name.to_owned(), kind.to_owned())
        })
        .collect();
    let rows = include_str!("../../docs/metrics.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let name = cells.next()?.trim().trim_end_matches('`');
        let name = name.split('{').next()?.to_owned();
        Some((name, cells.next()?.trim().to_owned()))
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), shown);
}
