//! One registry on a node, in the words of the contract.

use super::time;
use crate::api::v1;
use crate::status::{ItemStatus, Registry, State};
use crate::target::Believer;
use crate::trust::effective::Standing;
use crate::verify::Proof;

pub(in crate::api) fn registry(registry: &Registry) -> v1::RegistryStatus {
    let (standing, because) = standing(&registry.standing);
    v1::RegistryStatus {
        host: registry.host.to_string(),
        owner: registry.owner.clone().unwrap_or_default(),
        trust: registry.trust.map_or(v1::Trust::Unspecified, trust).into(),
        standing: standing.into(),
        because,
        items: registry.items.iter().filter(|one| runtime_of(one).is_some()).map(item).collect(),
        system_store: registry.items.iter().find(|one| runtime_of(one).is_none()).map(item),
        until: registry.until.map(time),
        ca_ends: registry.ca_ends.map(time),
        client_ends: registry.client_ends.map(time),
        reason: registry.reason.clone().unwrap_or_default(),
    }
}

fn trust(word: &str) -> v1::Trust {
    match word {
        "system" => v1::Trust::System,
        "ca" => v1::Trust::Ca,
        "skip-verify" => v1::Trust::SkipVerify,
        "http" => v1::Trust::Http,
        "insecure" => v1::Trust::Insecure,
        _ => v1::Trust::Unspecified,
    }
}

fn standing(standing: &Standing) -> (v1::Standing, String) {
    match standing {
        Standing::Declared => (v1::Standing::Declared, String::new()),
        Standing::Held(why) => (v1::Standing::Held, why.clone()),
        Standing::Unusable(why) => (v1::Standing::Unusable, why.clone()),
        Standing::Refused(refusals) => {
            let said = refusals.iter().map(|one| format!("`{}`: {}", one.rule, one.message));
            (v1::Standing::Refused, said.collect::<Vec<_>>().join("; "))
        }
        Standing::Ended(at) => (v1::Standing::Ended, format!("ended at {at}")),
        Standing::Pinned(number) => (v1::Standing::Pinned, format!("as in generation {number}")),
        Standing::PinnedOut(number) => {
            (v1::Standing::PinnedOut, format!("not in generation {number}"))
        }
    }
}

/// `None`: the system store, which is no runtime.
fn runtime_of(item: &ItemStatus) -> Option<v1::Runtime> {
    match item.item.on {
        Believer::Docker => Some(v1::Runtime::Docker),
        Believer::Containerd => Some(v1::Runtime::Containerd),
        Believer::System => None,
    }
}

fn item(item: &ItemStatus) -> v1::ItemStatus {
    use v1::item_status::State as Said;
    let (state, because) = match &item.state {
        State::InForce => (Said::InForce, ""),
        State::Waiting(why) => (Said::Waiting, why.as_str()),
        State::Blocked(why) => (Said::Blocked, why.as_str()),
        State::Inexpressible(why) => (Said::Inexpressible, why.as_str()),
        State::Rejected(why) => (Said::Rejected, why.as_str()),
    };
    v1::ItemStatus {
        runtime: runtime_of(item).unwrap_or_default().into(),
        state: state.into(),
        because: because.to_owned(),
        proof: item.proof.as_ref().map(proof),
    }
}

fn proof(proof: &Proof) -> v1::Proof {
    v1::Proof {
        verdict: crate::api::verdict::word(proof.verdict).into(),
        said: proof.said.clone(),
        cure: proof.cure.clone(),
        at: Some(time(proof.at)),
    }
}
