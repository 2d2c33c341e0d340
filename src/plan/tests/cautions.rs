//! What an operator is told about effects, and about there being none.

use crate::ledger::Loads;
use crate::observed::{Flag, Running};
use crate::plan::Plan;
use crate::plan::fixtures::*;

fn warns(plan: &Plan) -> bool {
    plan.notes.iter().any(|note| note.message.contains("`docker build` may go on"))
}

#[test]
fn trust_that_is_taken_away_is_noted_and_trust_that_is_given_is_not() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    assert!(!warns(&node.apply()));
    assert!(!warns(&node.apply()));
    node.declare(entry("a.corp", ca(CA_B)));
    assert!(warns(&node.apply()), "another CA");
    node.withdraw("a.corp");
    assert!(warns(&node.apply()), "none");
    assert!(!warns(&node.apply()), "once");
}

#[test]
fn an_element_that_leaves_a_list_is_noted_and_one_that_comes_is_not() {
    let mut node = Node::with_docker("26.1.5");
    for host in ["a.corp", "b.corp"] {
        node.declare(insecure(host));
        assert!(!warns(&node.apply()), "{host}");
    }
    node.withdraw("a.corp");
    assert!(warns(&node.apply()));
    node.withdraw("b.corp");
    assert!(warns(&node.apply()));
    node.acknowledged.insert(Loads::DockerDaemon);
    assert!(!warns(&node.apply()), "an empty list has nothing to lose");
}

#[test]
fn a_dockerd_that_is_stopped_remembers_nothing() {
    let mut node = Node::with_docker("26.1.5");
    node.declare(with_ca("a.corp"));
    node.apply();
    node.docker().running = Running::No;
    node.withdraw("a.corp");
    assert!(!warns(&node.apply()));
}

#[test]
fn authorization_plugins_are_named_where_dockerd_is_to_read_its_configuration() {
    let said = |plan: &Plan| {
        let mut messages = plan.notes.iter().map(|note| note.message.clone());
        messages.find(|message| message.contains("authorization plugin"))
    };
    let mut node = Node::with_docker("26.1.5");
    node.put(DAEMON, "{\"authorization-plugins\": [\"guard\"]}");
    node.declare(with_ca("a.corp"));
    assert_eq!(said(&node.apply()), None, "nothing is reloaded");
    node.declare(insecure("b.corp"));
    assert!(said(&node.apply()).unwrap().ends_with("see first that `guard` does"));
    node.docker().flags = vec![Flag {
        name: "authorization-plugin".to_owned(),
        value: "second".to_owned(),
        source: "/etc/default/docker".to_owned(),
    }];
    assert!(said(&node.plan()).unwrap().ends_with("`guard` and `second` does"));
    node.put(DAEMON, "{\"authorization-plugins\": []}");
    node.docker().flags.clear();
    assert_eq!(said(&node.plan()), None);
}
