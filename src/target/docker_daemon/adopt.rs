//! Which elements somebody wrote by hand for a registry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::grammar::without_scheme;
use super::{Key, mirrors};
use crate::trust::host::RegistryHost;

/// The elements of daemon.json that name one of `hosts`, as they stand there, by key. Mirrors are
/// Docker Hub's, so they go with it.
pub fn adoptable(text: &str, hosts: &BTreeSet<RegistryHost>) -> BTreeMap<Key, BTreeSet<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) else {
        return BTreeMap::new();
    };
    let takes_hub = hosts.iter().any(RegistryHost::is_docker_hub);
    let of = |key: Key| -> (Key, BTreeSet<String>) {
        let elements = object.get(key.name()).and_then(Value::as_array).into_iter().flatten();
        let named = elements.filter_map(Value::as_str).filter(|element| match key {
            Key::InsecureRegistries => {
                hosts.iter().any(|host| host.as_str() == without_scheme(element))
            }
            Key::RegistryMirrors => takes_hub && !mirrors::identity(element).is_empty(),
        });
        (key, named.map(str::to_owned).collect())
    };
    Key::ALL.into_iter().map(of).filter(|(_, elements)| !elements.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_the_registry_is_taken_with_or_without_a_scheme() {
        let text = r#"{"insecure-registries": ["https://a.corp", "b.corp", "10.0.0.0/8", "a.corp:5000"],
            "registry-mirrors": ["https://m.corp"]}"#;
        let hosts = BTreeSet::from(["a.corp".parse().unwrap()]);
        let elements = BTreeSet::from(["https://a.corp".to_owned()]);
        assert_eq!(adoptable(text, &hosts), BTreeMap::from([(Key::InsecureRegistries, elements)]));
    }

    #[test]
    fn mirrors_belong_to_docker_hub() {
        let hosts = BTreeSet::from(["docker.io".parse().unwrap()]);
        let text = r#"{"registry-mirrors": ["https://m.corp"]}"#;
        let elements = BTreeSet::from(["https://m.corp".to_owned()]);
        assert_eq!(adoptable(text, &hosts), BTreeMap::from([(Key::RegistryMirrors, elements)]));
        assert_eq!(adoptable("{", &hosts), BTreeMap::new());
    }
}
