//! regtrust on a node: declarations, plans, and the effects that a plan names.

use std::time::SystemTime;

use serde::Deserialize;

use super::engine;
use super::node::Node;
use super::wait::let_a_change_age;

const DECLARATIONS: &str = "/etc/regtrust/registries.d";

/// What `--json` printed, as far as cases ask about it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Survey {
    pub(crate) changes: Vec<Edit>,
    pub(crate) effects: Vec<Due>,
    pub(crate) conflicts: Vec<serde_json::Value>,
    pub(crate) notes: Vec<serde_json::Value>,
    /// All of it.
    #[serde(skip)]
    pub(crate) text: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Edit {
    pub(crate) path: String,
}

/// An effect as the plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Due {
    /// `reload-docker`, `restart-containerd`, `restart-docker`, `run-ca-tool`
    #[serde(rename = "do")]
    pub(crate) what: String,
    pub(crate) command: String,
}

impl Survey {
    /// The effects by name, in the order in which they are due.
    pub(crate) fn due(&self) -> Vec<&str> {
        self.effects.iter().map(|due| due.what.as_str()).collect()
    }

    /// One effect alone, to perform it and leave the others out.
    #[track_caller]
    pub(crate) fn effect(&self, what: &str) -> &[Due] {
        let effect = self.effects.iter().find(|due| due.what == what);
        std::slice::from_ref(effect.unwrap_or_else(|| panic!("no {what} is due: {}", self.text)))
    }

    /// Whether one of its conflicts has these words.
    pub(crate) fn is_blocked_by(&self, words: &str) -> bool {
        self.conflicts.iter().any(|conflict| conflict["message"].to_string().contains(words))
    }

    /// Whether one of its notes for the operator has these words.
    pub(crate) fn notes(&self, words: &str) -> bool {
        self.notes.iter().any(|note| note.to_string().contains(words))
    }

    /// The files that change.
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.changes.iter().map(|edit| edit.path.as_str()).collect()
    }
}

impl Node {
    /// Puts a declaration file onto the node, or another text under the same name.
    pub(crate) fn declare(&self, name: &str, toml: &impl ToString) {
        self.write(&format!("{DECLARATIONS}/{name}.toml"), toml.to_string());
    }

    pub(crate) fn withdraw(&self, name: &str) {
        self.sh(&format!("rm {DECLARATIONS}/{name}.toml"));
    }

    /// `regtrust plan`
    pub(crate) fn plan(&self) -> Survey {
        self.regtrust(&["plan"])
    }

    /// `regtrust apply`, which must have no conflict and no problem.
    pub(crate) fn apply(&self) -> Survey {
        self.regtrust(&["apply"])
    }

    /// A command that ends with a survey. Exit codes 0 and 2 are good; a case that expects another
    /// runs regtrust with [`Node::run`].
    pub(crate) fn regtrust(&self, arguments: &[&str]) -> Survey {
        let (code, survey) = self.regtrust_exits(arguments);
        assert!(matches!(code, 0 | 2), "{arguments:?}: exit code {code}\n{}", survey.text);
        survey
    }

    /// The same, with whatever exit code.
    pub(crate) fn regtrust_exits(&self, arguments: &[&str]) -> (i32, Survey) {
        let output = self.run(["regtrust", "--json"].iter().chain(arguments).copied());
        let mut survey: Survey = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}{}", output.stdout, output.stderr));
        survey.text = output.stdout;
        (output.code, survey)
    }

    /// Does what the plan named, with the very commands that it named, and waits until it is done.
    pub(crate) fn perform(&self, effects: &[Due]) {
        for due in effects {
            match due.what.as_str() {
                "reload-docker" => self.reload_docker(&due.command),
                "restart-docker" | "restart-containerd" => self.restart(&due.command),
                _ => drop(self.sh(&due.command)),
            }
        }
    }

    /// The command only sends a signal. dockerd says in an event that it took the new values.
    pub(crate) fn reload_docker(&self, command: &str) {
        self.await_reload(command);
        self.regtrust(&["apply", "--acknowledge", "docker-reload"]);
    }

    /// A reload by somebody who does not tell regtrust.
    pub(crate) fn reload_by_hand(&self) {
        self.await_reload("systemctl reload docker");
    }

    fn await_reload(&self, command: &str) {
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
        self.sh(command);
        engine::await_reload(self, since);
    }

    /// Restarts by somebody who does not ask regtrust.
    pub(crate) fn restart_by_hand(&self, units: &str) {
        self.restart(&format!("systemctl restart {units}"));
    }

    /// systemd starts docker three times a minute and then no more; a case may well need a fourth.
    fn restart(&self, command: &str) {
        let_a_change_age();
        let units = "docker.service docker.socket containerd.service";
        self.sh(&format!("systemctl reset-failed {units}; {command}"));
    }
}
