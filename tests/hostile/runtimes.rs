//! The runtimes' own files, as somebody left them.

use super::{Case, PLAIN, with_ca_for_containerd};
use crate::common::{CANARY, Node};

fn daemon(name: &str, says: &str, text: impl Into<Vec<u8>>) -> Case {
    let text = text.into();
    Case::blocked(format!("daemon.json: {name}"), says, move |node: &Node| {
        node.declare(PLAIN).file("etc/docker/daemon.json", &text);
    })
}

fn config(name: &str, says: &str, text: impl Into<Vec<u8>>) -> Case {
    let text = text.into();
    Case::blocked(format!("config.toml: {name}"), says, move |node: &Node| {
        with_ca_for_containerd(node);
        node.file("etc/containerd/config.toml", &text);
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = daemon_json();
    cases.extend(config_toml());
    cases
}

fn daemon_json() -> Vec<Case> {
    let secret = format!("\"proxies\": {{\"http-proxy\": \"http://u:{CANARY}@p:1\"}}");
    let deep = |open: &str| format!("{{\"a\": {}", open.repeat(200_000));
    vec![
        daemon("no JSON", "not valid JSON", format!("{{{secret},")),
        daemon(
            "an escape outside of strings",
            "not valid JSON",
            format!("{{{secret}, \u{1b}[2J}}"),
        ),
        daemon("single quotes", "not valid JSON", "{'debug': true}"),
        daemon("a comment", "goes on after its closing brace", "{\"debug\": true} // fine\n"),
        daemon("a trailing comma", "not valid JSON", "{\"debug\": true,}"),
        daemon("a list", "does not hold an object", "[]"),
        daemon("text behind it", "goes on after its closing brace", format!("{{}}\n{{{secret}}}")),
        daemon("a key twice", "has the key `debug` twice", "{\"debug\": 1, \"debug\": 2}"),
        daemon(
            "our key twice",
            "twice",
            "{\"insecure-registries\": [], \"insecure-registries\": [\"a.corp\"]}",
        ),
        daemon(
            "our key twice, escaped",
            "twice",
            "{\"insecure-registries\": [], \"insecure\\u002dregistries\": [\"a.corp\"]}",
        ),
        daemon(
            "our key in capitals",
            "which docker does not know",
            "{\"Insecure-Registries\": []}",
        ),
        daemon(
            "our key as text",
            "is not a list of strings",
            "{\"insecure-registries\": \"a.corp\"}",
        ),
        daemon("numbers in our key", "is not a list of strings", "{\"insecure-registries\": [1]}"),
        daemon(
            "an element that docker refuses",
            r"\u{1b}[2J",
            "{\"insecure-registries\": [\"foo://x\\u001b[2J\"]}",
        ),
        daemon("deep lists", "not valid JSON", deep("[")),
        daemon("deep objects", "not valid JSON", deep("{\"a\":")),
        daemon("not UTF-8", "not UTF-8", b"{\"a\": \"\xff\"}".to_vec()),
        daemon("UTF-16", "not UTF-8", b"\xff\xfe{\0}\0".to_vec()),
        daemon("zeros", "not valid JSON", vec![0; 4096]),
        Case::blocked("daemon.json: 100 MB", "larger than 67108864 bytes", |node| {
            node.declare(PLAIN).directory("etc/docker");
            let file = std::fs::File::create(node.path("etc/docker/daemon.json")).unwrap();
            file.set_len(100_000_000).unwrap();
        }),
        Case::blocked("daemon.json: a flag of dockerd", "daemon.json", |node| {
            node.declare(PLAIN).file(
                "etc/systemd/system/docker.service",
                "[Service]\nExecStart=/usr/bin/dockerd --insecure-registry=\u{1b}[2Jother.corp\n",
            );
        }),
    ]
}

fn config_toml() -> Vec<Case> {
    let deep = format!("version = 2\na = {}\n", "[".repeat(200_000));
    vec![
        config("no TOML", "config.toml", format!("version = 2\npassword = \"{CANARY}\n")),
        config("an escape outside of strings", "config.toml", "version = 2\n\u{1b}[2J = 1\n"),
        config("deep arrays", "config.toml", deep),
        config("not UTF-8", "not UTF-8", b"version = 2\na = \"\xff\"\n".to_vec()),
        config("zeros", "config.toml", vec![0; 4096]),
        config("a version of tomorrow", "version", "version = 99\n"),
        config("a version as text", "version", "version = \"\\u001b[2J\"\n"),
        config(
            "mirrors in it",
            "mirrors",
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"h\\u001b[2J\"]\nendpoint = [\"x\"]\n",
        ),
        config(
            "config_path is a number",
            "config_path",
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = 1\n",
        ),
        config(
            "registry is no table",
            "registry",
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nregistry = 1\n",
        ),
        Case::blocked("config.toml: 100 MB", "larger than 67108864 bytes", |node| {
            with_ca_for_containerd(node);
            node.directory("etc/containerd");
            let file = std::fs::File::create(node.path("etc/containerd/config.toml")).unwrap();
            file.set_len(100_000_000).unwrap();
        }),
    ]
}
