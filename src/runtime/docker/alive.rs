//! Which of docker's containers run, and how those have ended that do not.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::doing::{LIVE, absent};
use super::{Engine, EngineError};
use crate::gate::{Alive, Being, Container};
use crate::trust::entry::Runtime;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInfo {
    live_restore_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawListed {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    name: String,
    created: String,
    state: RawState,
    host_config: RawHostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    status: String,
    started_at: String,
    exit_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHostConfig {
    restart_policy: RawPolicy,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPolicy {
    name: String,
}

impl Engine {
    /// The containers that have not ended, and those of `known`, by id. `restarts`: whether dockerd
    /// is restarted as well.
    pub async fn alive(
        &self,
        known: &Alive,
        restarts: bool,
    ) -> Result<BTreeMap<String, Container>, EngineError> {
        let info: RawInfo = self.fetch(super::INFO).await?;
        let listed: Vec<RawListed> = self.fetch(LIVE).await?;
        let known = known.containers.iter().filter(|(_, one)| one.of == Runtime::Docker);
        let mut ids: Vec<String> = known.map(|(id, _)| id.clone()).collect();
        ids.extend(listed.into_iter().map(|one| one.id));
        ids.sort_unstable();
        ids.dedup();
        let outlives = !restarts || info.live_restore_enabled;
        let mut containers = BTreeMap::new();
        for id in ids {
            let path = format!("/containers/{id}/json");
            // One that is not there any more has been removed.
            if let Some(raw) = absent(self.fetch::<RawContainer>(&path).await)? {
                containers.insert(id, raw.container(outlives));
            }
        }
        Ok(containers)
    }
}

impl RawContainer {
    fn container(self, outlives: bool) -> Container {
        let being = match self.state.status.as_str() {
            "created" => Being::Made { since: self.created.parse().ok() },
            "running" | "paused" => Being::Running { start: Some(self.state.started_at) },
            // `restarting` is one that has ended and is to be started again.
            _ => Being::Ended { code: self.state.exit_code },
        };
        Container {
            name: self.name.trim_start_matches('/').to_owned(),
            of: Runtime::Docker,
            outlives,
            // `on-failure` depends on how it takes the signal that dockerd ends it with.
            comes_back: matches!(
                self.host_config.restart_policy.name.as_str(),
                "always" | "unless-stopped"
            ),
            being,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_container_is_is_read_from_dockers_own_words() {
        let container = |status: &str, policy: &str| {
            let text = format!(
                r#"{{"Id":"1","Name":"/shop","Created":"2026-11-21T09:40:00.123456789Z",
                "State":{{"Status":"{status}","ExitCode":137,"StartedAt":"2026-11-21T09:41:00Z"}},
                "HostConfig":{{"RestartPolicy":{{"Name":"{policy}","MaximumRetryCount":0}}}}}}"#
            );
            serde_json::from_str::<RawContainer>(&text).unwrap().container(true)
        };
        let running = Being::Running { start: Some("2026-11-21T09:41:00Z".to_owned()) };
        let made = Being::Made { since: "2026-11-21T09:40:00.123456789Z".parse().ok() };
        for (status, being) in [
            ("running", running.clone()),
            ("paused", running),
            ("created", made),
            ("restarting", Being::Ended { code: 137 }),
            ("exited", Being::Ended { code: 137 }),
            ("dead", Being::Ended { code: 137 }),
        ] {
            assert_eq!(container(status, "no").being, being, "{status}");
        }
        assert_eq!(container("running", "no").name, "shop");
        for (policy, comes_back) in [
            ("", false),
            ("no", false),
            ("on-failure", false),
            ("always", true),
            ("unless-stopped", true),
        ] {
            assert_eq!(container("running", policy).comes_back, comes_back, "{policy}");
        }
    }
}
