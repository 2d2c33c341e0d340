//! Mirrors: other addresses for the same images.

use std::collections::BTreeSet;

use super::check;
use super::complete::{Surroundings, trust};
use super::draft::{MirrorDraft, TrustWord};
use crate::trust::entry::{Capability, Mirror};
use crate::trust::findings::{At, Findings};
use crate::trust::host::{Address, RegistryHost, Scheme};
use crate::trust::toml_reader::Field;

/// The mirrors of `registry`. Each that is missing from the result has an error in `findings`.
pub(super) fn complete(
    drafts: &[MirrorDraft],
    registry: Option<&RegistryHost>,
    around: &mut Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Mirror> {
    let mut mirrors: Vec<Mirror> = Vec::with_capacity(drafts.len());
    let mut seen = BTreeSet::new();
    for draft in drafts {
        check::side(&draft.side, "mirror.url", findings);
        check_address(draft, registry, &mut seen, findings);
        let trust = trust(&draft.side, around, findings);
        let (Some(address), Some(trust)) = (draft.side.address.value(), trust) else { continue };
        let capabilities = match &draft.capabilities {
            Field::Given(given) => given.value.clone(),
            Field::Absent => BTreeSet::from([Capability::Pull, Capability::Resolve]),
            Field::Bad => continue,
        };
        let Address { host, path, .. } = address.clone();
        mirrors.push(Mirror { host, path, trust, capabilities });
    }
    mirrors
}

fn check_address<'a>(
    draft: &'a MirrorDraft,
    registry: Option<&RegistryHost>,
    seen: &mut BTreeSet<(&'a RegistryHost, &'a str)>,
    findings: &mut Findings,
) {
    let Some(At { value: address, place }) = draft.side.address.given() else { return };
    let Address { host, scheme, path } = address;
    match (scheme, draft.side.trust.value()) {
        (None, _) => {
            *findings.error(*place, "mirror.url", "has no scheme") =
                Some(format!("write `https://{host}{path}`"));
        }
        (Some(Scheme::Http), Some(TrustWord::System | TrustWord::Ca | TrustWord::SkipVerify)) => {
            *findings.error(
                *place,
                "mirror.url",
                "`http://` is plain HTTP, which nothing protects",
            ) = Some("write `https://`, or accept it with `trust = \"http\"`".to_owned());
        }
        _ => {}
    }
    // In hosts.toml each address is a key, and a key that is there twice spoils the whole file.
    if !seen.insert((host, path)) {
        findings.error(*place, "mirror.url", format!("`{host}{path}` is a mirror already"));
    }
    if path.is_empty() && registry.is_some_and(|registry| serves(host, registry)) {
        *findings.error(*place, "mirror.url", "is the registry itself") =
            Some("remove it: the registry is asked after its mirrors anyway".to_owned());
    }
}

/// Whether the mirror is the very server that runtimes ask for the registry.
fn serves(mirror: &RegistryHost, registry: &RegistryHost) -> bool {
    mirror == registry || registry.is_docker_hub() && mirror.as_str() == "registry-1.docker.io"
}
