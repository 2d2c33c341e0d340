//! What administrators have on their nodes, in the layouts in which they leave it.

use proptest::prelude::*;
use proptest::sample::select;

use super::declare::HOSTS;

/// A node before regtrust.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) presets: String,
    pub(crate) daemon: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) files: Vec<Foreign>,
}

/// A file in or beside a registry's directory, or with a slash at its end that directory itself.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) path: String,
    pub(crate) text: &'static str,
    pub(crate) mode: u32,
}

/// What an administrator does between two applies.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Add(Foreign),
    /// Another value for a setting of daemon.json that is none of ours.
    Daemon(u8),
    /// A comment on top of config.toml.
    Config(u8),
}

pub(crate) fn before() -> impl Strategy<Value = Before> {
    let files = proptest::collection::vec(foreign(), 0..5);
    (presets(), proptest::option::of(daemon()), proptest::option::of(config()), files)
        .prop_map(|(presets, daemon, config, files)| Before { presets, daemon, config, files })
}

fn presets() -> impl Strategy<Value = String> {
    let distributions = select(vec!["debian\n", "alpine\n", "fedora\n", ""]);
    let dockers = vec!["", "docker\n", "docker 20.10.24\n", "docker 26.1.5\n", "docker 28.5.2\n"];
    let containerds = vec![
        "",
        "containerd\nkubelet\n",
        "containerd 1.6.20\nkubelet\n",
        "containerd 1.7.24\nkubelet\n",
        "containerd 1.7.24\n",
        "containerd 2.1.9\nkubelet\n",
    ];
    let running = select(vec!["", "", "running docker\nrunning containerd\n"]);
    (distributions, select(dockers), select(containerds), running).prop_map(
        |(distribution, docker, containerd, running)| {
            format!("{distribution}{docker}{containerd}{running}")
        },
    )
}

fn foreign() -> impl Strategy<Value = Foreign> {
    let places = vec![
        "etc/docker/certs.d",
        "etc/containerd/certs.d",
        "etc/containerd/certs.d",
        "usr/local/share/ca-certificates",
    ];
    let mut directories: Vec<String> = HOSTS.iter().map(|host| (*host).to_owned()).collect();
    directories.extend(["_default".to_owned(), "harbor.corp_8443_".to_owned()]);
    let names = select(vec![
        // The directory alone.
        ("", ""),
        ("README", "Ask Ann first.\n"),
        ("old.crt", include_str!("../fixtures/certs/ca-p256.pem")),
        ("same.crt", include_str!("../fixtures/certs/ca.pem")),
        ("ca.crt", include_str!("../fixtures/certs/ca.pem")),
        ("ca.crt", "# not even PEM\n"),
        ("robot.cert", include_str!("../fixtures/certs/client-ec.pem")),
        ("hosts.toml", "# By hand.\nserver = \"https://proxy.corp\"\n\n[host]\n"),
    ]);
    let modes = select(vec![0o644, 0o600, 0o440]);
    (select(places), select(directories), names, modes).prop_map(
        |(place, directory, (name, text), mode)| {
            let path = if place.starts_with("usr") {
                format!("{place}/{name}")
            } else {
                format!("{place}/{directory}/{name}")
            };
            Foreign { path, text, mode }
        },
    )
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        2 => foreign().prop_map(Edit::Add),
        1 => any::<u8>().prop_map(Edit::Daemon),
        1 => any::<u8>().prop_map(Edit::Config),
    ]
}

/// A daemon.json. `MARK` is where [`Edit::Daemon`] writes.
fn daemon() -> impl Strategy<Value = String> {
    let whole =
        select(vec!["", "{}", "{ }\n", "{\n}\n", " \n", "\u{feff}{}", "[]\n", "{\"a\": 1,}"]);
    prop_oneof![1 => whole.prop_map(str::to_owned), 4 => object()]
}

fn object() -> impl Strategy<Value = String> {
    let others = vec![
        "\"log-level\": \"MARK\"",
        "\"log-opts\": {\"max-size\": \"10m\", \"x\":[ ]}",
        "\"debug\" : true",
        "\"hosts\":[\"unix:///var/run/docker.sock\"]",
    ];
    let members = proptest::sample::subsequence(others, 0..=4);
    let keys = proptest::option::of(array("insecure-registries"));
    let mirrors = proptest::option::of(array("registry-mirrors"));
    let layout = (
        select(vec!["", " ", "\n  ", "\n    ", "\n\t", "\r\n  ", "\n\n "]),
        select(vec!["", " ", "\n", "\r\n"]),
        select(vec!["", "\n", "\n\n", "\r\n"]),
        any::<prop::sample::Index>(),
    );
    (members, keys, mirrors, layout).prop_map(|(members, insecure, mirrors, layout)| {
        let (separator, before_brace, end, place) = layout;
        let mut members: Vec<String> = members.into_iter().map(str::to_owned).collect();
        for array in insecure.into_iter().chain(mirrors) {
            let at = place.index(members.len() + 1);
            members.insert(at, array);
        }
        let body: Vec<String> =
            members.iter().map(|member| format!("{separator}{member}")).collect();
        format!("{{{}{before_brace}}}{end}", body.join(","))
    })
}

fn array(key: &'static str) -> impl Strategy<Value = String> {
    let insecure = vec!["lab.corp:5000", "10.0.0.0/8", "old.corp", "http://b.corp"];
    let mirrors = vec!["https://mirror.corp", "https://own.corp/"];
    let known = if key == "registry-mirrors" { mirrors } else { insecure };
    let most = known.len();
    let elements = proptest::sample::subsequence(known, 0..=most);
    let layout = select(vec![
        ("", ",", ""),
        ("", ", ", ""),
        (" ", " , ", " "),
        ("\n    ", ",\n    ", "\n  "),
    ]);
    (elements, layout, 0..8_u8).prop_map(move |(elements, (open, comma, close), null)| {
        let elements: Vec<String> =
            elements.iter().map(|element| format!("\"{element}\"")).collect();
        match (null, elements.is_empty()) {
            (0, _) => format!("\"{key}\": null"),
            (_, true) => format!("\"{key}\": []"),
            _ => format!("\"{key}\": [{open}{}{close}]", elements.join(comma)),
        }
    })
}

/// A config.toml, as packages and installers write it and as people edit it.
fn config() -> impl Strategy<Value = String> {
    const DEBIAN: &str = "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    \
        [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\" # ours\n";
    const DUMP: &str = "version = 2\n[plugins]\n\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    \
        sandbox_image = \"registry.corp/pause:3.9\" # air-gapped\n\n    \
        [plugins.\"io.containerd.grpc.v1.cri\".registry]\n      config_path = \"\" # nothing yet\n\n      \
        [plugins.\"io.containerd.grpc.v1.cri\".registry.auths]\n\n  \
        [plugins.\"io.containerd.internal.v1.opt\"]\n    path = \"/opt\"\n";
    const DOTTED: &str = "version = 2\n# dotted\nplugins.\"io.containerd.grpc.v1.cri\".sandbox_image = \
        \"registry.corp/pause:3.9\"\n";
    const INLINE: &str =
        "version = 2\n[plugins]\n\"io.containerd.grpc.v1.cri\" = { sandbox_image = \"p\" }\n";
    const SET: &str = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  \
        config_path = \"/etc/containerd/certs.d\"\n";
    const MIRRORS: &str = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\n  \
        endpoint = [\"https://proxy.corp\"]\n";
    const THREE: &str =
        "version = 3\n\n[plugins.'io.containerd.cri.v1.images']\n  snapshotter = 'overlayfs'\n";
    let texts = vec![
        "",
        "# nothing\n",
        "version = 2\n",
        DEBIAN,
        DEBIAN,
        DUMP,
        DUMP,
        DOTTED,
        INLINE,
        SET,
        MIRRORS,
        THREE,
        "disabled_plugins = [\"cri\"]\n",
        "this is no TOML\n",
    ];
    let tails =
        select(vec!["", "\n", "# the end\n", "\n\n# the end", "\n[debug]\n  level = \"info\"\n"]);
    (select(texts), tails, any::<[bool; 2]>()).prop_map(|(text, tail, [crlf, cut])| {
        let mut text = format!("{text}{tail}");
        if cut {
            text.truncate(text.trim_end().len());
        }
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}
