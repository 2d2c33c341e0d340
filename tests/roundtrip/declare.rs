//! Random declarations, in the words in which people write them.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The registries that declarations and foreign files are about.
pub(crate) const HOSTS: [&str; 7] = [
    "harbor.corp:8443",
    "lab.corp:5000",
    "docker.io",
    "10.1.2.3:5000",
    "[2001:db8::5]:5000",
    "b.corp",
    "127.0.0.1:5000",
];

/// The text of a drop-in file that declares some of the registries, each once.
pub(crate) fn declarations() -> impl Strategy<Value = String> {
    let hosts = subsequence(HOSTS.to_vec(), 0..=HOSTS.len());
    hosts
        .prop_flat_map(|hosts| hosts.into_iter().map(entry).collect::<Vec<_>>())
        .prop_map(|entries| entries.concat())
}

fn entry(host: &'static str) -> impl Strategy<Value = String> {
    (trust(), any::<[bool; 3]>(), select(RUNTIMES.to_vec()), mirrors(host)).prop_map(
        move |(trust, [pair, store, fallback], runtimes, mirrors)| {
            let verifies = trust.contains("\"ca\"") || trust.contains("\"system\"");
            let mut text = format!("[[registry]]\nhost = \"{host}\"\n{trust}{runtimes}");
            if pair && verifies {
                text += "client_cert_file = \"../certs/client.pem\"\n\
                         client_key_file = \"../certs/client.key\"\n";
            }
            if store && trust.contains("\"ca\"") {
                text += "system_store = true\n";
            }
            if !mirrors.is_empty() && !fallback {
                text += "fallback = false\n";
            }
            text + &mirrors.concat() + "\n"
        },
    )
}

const RUNTIMES: [&str; 4] =
    ["", "", "runtimes = [\"docker\"]\n", "runtimes = [\"docker\", \"containerd\"]\n"];

fn trust() -> impl Strategy<Value = String> {
    let ca = |file: &str| format!("trust = \"ca\"\nca_file = \"../certs/{file}\"\n");
    let word = |word: &str| format!("trust = \"{word}\"\n");
    select(vec![
        ca("ca.pem"),
        ca("ca-b.pem"),
        ca("ca.pem"),
        word("system"),
        word("skip-verify"),
        word("http"),
        word("insecure"),
    ])
}

/// Up to two of them, none of which is the registry itself.
fn mirrors(host: &'static str) -> impl Strategy<Value = Vec<String>> {
    let mut urls = vec!["https://mirror.corp", "https://proxy.corp:8443/v2/hub", "https://b.corp"];
    urls.retain(|url| !url.ends_with(host));
    let chosen = subsequence(urls, 0..=2).prop_shuffle();
    chosen.prop_flat_map(|urls| urls.into_iter().map(mirror).collect::<Vec<_>>())
}

fn mirror(url: &'static str) -> impl Strategy<Value = String> {
    trust().prop_map(move |trust| {
        let plain = trust.contains("\"http\"");
        let url = if plain { url.replacen("https", "http", 1) } else { url.to_owned() };
        format!("\n[[registry.mirror]]\nurl = \"{url}\"\n{trust}")
    })
}
