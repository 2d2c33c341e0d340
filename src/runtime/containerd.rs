//! What containerd says about its own plugins.
//!
//! A CRI plugin that cannot load, for instance because `config_path` stands beside `mirrors`, does
//! not stop containerd: systemd calls the unit healthy while kubelet has no runtime.

use std::sync::Arc;
use std::time::Duration;

use super::grpc::{CallError, call};
use crate::effect::bus::Active;
use crate::node::root::NodeRoot;
use crate::trust::entry::Runtime;

#[derive(Clone, PartialEq, prost::Message)]
struct PluginsRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct PluginsResponse {
    #[prost(message, repeated, tag = "1")]
    plugins: Vec<RawPlugin>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawPlugin {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(message, optional, tag = "7")]
    failure: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

/// How CRI fares. Whether it should be there nobody but its user knows: `disabled_plugins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CriPlugin {
    Loaded,
    Disabled,
    /// containerd's own words.
    Failed(String),
}

#[derive(Clone, Debug)]
pub struct Containerd {
    root: Arc<NodeRoot>,
}

impl Containerd {
    /// `None`: the evidence is about another runtime.
    pub fn of(root: &Arc<NodeRoot>, active: &Active) -> Option<Self> {
        (active.runtime() == Runtime::Containerd).then(|| Self { root: Arc::clone(root) })
    }

    pub async fn cri_plugin(&self, limit: Duration) -> Result<CriPlugin, CallError> {
        const METHOD: &str = "/containerd.services.introspection.v1.Introspection/Plugins";
        let answer: PluginsResponse = call(&self.root, METHOD, PluginsRequest {}, limit).await?;
        Ok(cri_plugin(&answer.plugins))
    }
}

/// CRI is one plugin up to 1.7. From 2.0 on it rests on two others; where one of those fails, the
/// one that is served only says that it lacks it, so the others' words come first. They are there
/// also when the one that is served is switched off.
fn cri_plugin(plugins: &[RawPlugin]) -> CriPlugin {
    let is_served = |plugin: &RawPlugin| plugin.kind == SERVED && plugin.id == "cri";
    if !plugins.iter().any(is_served) {
        return CriPlugin::Disabled;
    }
    let rests_on = plugins.iter().filter(|plugin| plugin.kind.starts_with("io.containerd.cri."));
    let served = plugins.iter().filter(|plugin| is_served(plugin));
    let failure = rests_on.chain(served).find_map(|plugin| plugin.failure.as_ref());
    failure.map_or(CriPlugin::Loaded, |failure| CriPlugin::Failed(failure.message.clone()))
}

const SERVED: &str = "io.containerd.grpc.v1";

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(kind: &str, id: &str, failure: Option<&str>) -> RawPlugin {
        let failure = failure.map(|message| Status { message: message.to_owned() });
        RawPlugin { kind: kind.to_owned(), id: id.to_owned(), failure }
    }

    #[test]
    fn a_plugin_of_cri_that_failed_is_seen_and_any_other_is_not() {
        let zfs = plugin("io.containerd.snapshotter.v1", "zfs", Some("no zfs"));
        let images = |failure| plugin("io.containerd.cri.v1", "images", failure);
        let served = |failure| plugin(SERVED, "cri", failure);
        let other = plugin(SERVED, "images", None);
        let failed = |words: &str| CriPlugin::Failed(words.to_owned());
        assert_eq!(cri_plugin(&[zfs.clone(), served(None)]), CriPlugin::Loaded);
        assert_eq!(cri_plugin(&[zfs, other.clone()]), CriPlugin::Disabled);
        assert_eq!(cri_plugin(&[images(None), other]), CriPlugin::Disabled, "2.x, switched off");
        assert_eq!(cri_plugin(&[served(Some("both set"))]), failed("both set"));
        let both = [served(Some("no images plugin")), images(Some("both set"))];
        assert_eq!(cri_plugin(&both), failed("both set"));
    }
}
