//! What docker's containers are doing, and what docker is fetching.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Engine, EngineError};
use crate::jobs::{Container, Labels, Member, Phase, Pod};

/// What would feel a restart of dockerd, or of the containerd beneath it.
#[derive(Clone, Debug, Default)]
pub struct Doing {
    /// Whether containers outlive a restart of dockerd.
    pub live_restore: bool,
    /// Where images are fetched to.
    pub data_root: String,
    /// Whether containerd fetches them instead.
    pub containerd_store: bool,
    pub containers: Vec<Container>,
    /// Those of cri-dockerd.
    pub pods: Vec<Pod>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInfo {
    live_restore_enabled: bool,
    docker_root_dir: String,
    driver_status: Option<Vec<(String, String)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    labels: Option<Labels>,
    state: String,
    created: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInspected {
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    state: RawState,
    config: RawConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    finished_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawConfig {
    /// As it was asked for: a name, or what an image without one has.
    image: String,
    healthcheck: Option<RawHealthcheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealthcheck {
    test: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawExec {
    running: bool,
    process_config: RawCommand,
}

#[derive(Deserialize)]
struct RawCommand {
    entrypoint: String,
    arguments: Option<Vec<String>>,
}

/// What cri-dockerd, as kubelet before it, labels.
const POD_TYPE: &str = "io.kubernetes.docker.type";
const POD_ID: &str = "io.kubernetes.sandbox.id";
/// Labels of a pod's sandbox that are its annotations.
const ANNOTATION: &str = "annotation.";

// {"status":["created","restarting","running","paused"]}
pub(super) const LIVE: &str = "/containers/json?all=1&filters=%7B%22status%22%3A%5B%22created%22%2C\
    %22restarting%22%2C%22running%22%2C%22paused%22%5D%7D";
// {"status":["exited"],"label":["io.kubernetes.docker.type=container"]}
const ENDED_IN_PODS: &str = "/containers/json?all=1&filters=%7B%22status%22%3A%5B%22exited%22%5D\
    %2C%22label%22%3A%5B%22io.kubernetes.docker.type%3Dcontainer%22%5D%7D";

/// What only a question about a single container tells.
struct State {
    phase: Phase,
    exec: bool,
    nameless: bool,
}

impl Engine {
    pub async fn doing(&self) -> Result<Doing, EngineError> {
        let info: RawInfo = self.fetch(super::INFO).await?;
        let mut all: Vec<RawContainer> = self.fetch(LIVE).await?;
        if all.iter().any(|one| one.is("podsandbox")) {
            // What has ended counts only in pods, and elsewhere there may be thousands.
            all.extend(self.fetch::<Vec<RawContainer>>(ENDED_IN_PODS).await?);
        }
        let driver = info.driver_status.unwrap_or_default();
        let mut doing = Doing {
            live_restore: info.live_restore_enabled,
            data_root: info.docker_root_dir,
            containerd_store: driver.iter().any(|(key, _)| key == "driver-type"),
            ..Doing::default()
        };
        let mut pods: BTreeMap<String, Pod> =
            all.extract_if(.., |one| one.is("podsandbox")).map(RawContainer::pod).collect();
        for raw in all {
            // It has been removed since: whatever it did is over.
            let Some(State { phase, exec, nameless }) = self.state(&raw).await? else { continue };
            let since = Timestamp::from_second(raw.created).ok();
            match raw.label(POD_ID).and_then(|id| pods.get_mut(id)) {
                Some(pod) => {
                    let name = raw.label("io.kubernetes.container.name").unwrap_or(&raw.id);
                    pod.members.push(Member { name: name.to_owned(), phase, since, exec });
                }
                None if matches!(phase, Phase::Exited(_)) => {}
                None => {
                    let name = raw.name();
                    let labels = raw.labels.unwrap_or_default();
                    let container = Container { name, labels, phase, since, exec, nameless };
                    doing.containers.push(container);
                }
            }
        }
        doing.pods = pods.into_values().collect();
        Ok(doing)
    }

    /// `None`: there is no such container any more.
    async fn state(&self, raw: &RawContainer) -> Result<Option<State>, EngineError> {
        let path = format!("/containers/{}/json", raw.id);
        let Some(inspected) = absent(self.fetch::<RawInspected>(&path).await)? else {
            return Ok(None);
        };
        let phase = match raw.state.as_str() {
            "created" => Phase::Created,
            "exited" => Phase::Exited(inspected.state.finished_at.and_then(|at| at.parse().ok())),
            _ => Phase::Running,
        };
        let nameless = inspected.config.image.starts_with("sha256:");
        let mut state = State { phase, exec: false, nameless };
        let check = inspected.config.healthcheck.and_then(|check| check.test).unwrap_or_default();
        for id in inspected.exec_ids.unwrap_or_default() {
            let exec = absent(self.fetch::<RawExec>(&format!("/exec/{id}/json")).await)?;
            state.exec |=
                exec.is_some_and(|exec| exec.running && !exec.process_config.is_check(&check));
        }
        Ok(Some(state))
    }
}

/// What is not there has ended between two questions.
pub(super) fn absent<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(EngineError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl RawCommand {
    /// Whether dockerd itself looks how the container is. It does so every half minute, looks again
    /// after a restart, and so it would block one for ever.
    fn is_check(&self, check: &[String]) -> bool {
        let arguments = self.arguments.as_deref().unwrap_or_default();
        match check {
            [kind, command] if kind == "CMD-SHELL" => arguments.last() == Some(command),
            [kind, program, rest @ ..] if kind == "CMD" => {
                self.entrypoint == *program && arguments == rest
            }
            _ => false,
        }
    }
}

impl RawContainer {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }

    fn is(&self, kind: &str) -> bool {
        self.label(POD_TYPE) == Some(kind)
    }

    fn name(&self) -> String {
        let name = self.names.first().map_or(self.id.as_str(), String::as_str);
        name.trim_start_matches('/').to_owned()
    }

    /// The pod whose sandbox this is, under the sandbox's id.
    fn pod(self) -> (String, Pod) {
        let of = |key: &str| self.label(key).unwrap_or_default().to_owned();
        let name =
            format!("{}/{}", of("io.kubernetes.pod.namespace"), of("io.kubernetes.pod.name"));
        let since = Timestamp::from_second(self.created).ok();
        let (mut labels, mut annotations) = (Labels::new(), Labels::new());
        for (key, value) in self.labels.unwrap_or_default() {
            match key.strip_prefix(ANNOTATION) {
                Some(key) => annotations.insert(key.to_owned(), value),
                None => labels.insert(key, value),
            };
        }
        (self.id, Pod { name, labels, annotations, since, members: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_of_dockerds_own_is_no_command_of_somebody() {
        let command = |entrypoint: &str, arguments: &[&str]| RawCommand {
            entrypoint: entrypoint.to_owned(),
            arguments: Some(arguments.iter().map(|one| (*one).to_owned()).collect()),
        };
        let check =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let shell = command("/bin/sh", &["-c", "curl localhost"]);
        assert!(shell.is_check(&check(&["CMD-SHELL", "curl localhost"])));
        assert!(!shell.is_check(&check(&["CMD-SHELL", "curl other"])));
        assert!(command("check", &["-q"]).is_check(&check(&["CMD", "check", "-q"])));
        assert!(!command("check", &["-v"]).is_check(&check(&["CMD", "check", "-q"])));
        assert!(!command("sh", &[]).is_check(&check(&["NONE"])));
        assert!(!command("sh", &[]).is_check(&[]));
    }

    #[test]
    fn a_pod_of_cri_dockerd_has_its_annotations_among_the_labels_of_its_sandbox() {
        let text = r#"{"Id":"1","Names":["/k8s_POD"],"State":"running","Created":60,"Labels":{
            "io.kubernetes.docker.type":"podsandbox","io.kubernetes.pod.name":"p",
            "io.kubernetes.pod.namespace":"ci","s-name":"b","annotation.runUrl":"u"}}"#;
        let raw: RawContainer = serde_json::from_str(text).unwrap();
        assert!(raw.is("podsandbox"));
        let (id, pod) = raw.pod();
        assert_eq!((id.as_str(), pod.name.as_str()), ("1", "ci/p"));
        assert_eq!(pod.labels.get("s-name").map(String::as_str), Some("b"));
        assert_eq!(pod.annotations.get("runUrl").map(String::as_str), Some("u"));
        assert_eq!(pod.since, Timestamp::from_second(60).ok());
    }
}
