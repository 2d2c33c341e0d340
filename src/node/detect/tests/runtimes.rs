//! Docker and containerd, on nodes as distributions and installers make them.

use super::*;
use crate::observed::{Containerd, Docker};

const DPKG: &str = "\
Package: docker.io
Status: install ok installed
Version: 26.1.5+dfsg1-9+b7

Package: containerd
Status: install ok installed
Version: 1.7.24~ds1-6+b4
";

const UNIT: &str = "\
[Service]
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS
";

fn flag(name: &str, value: &str, source: &str) -> Flag {
    Flag { name: name.into(), value: value.into(), source: source.into() }
}

fn docker(files: &[(&str, &str)]) -> Option<Docker> {
    Node::with(files).detect().docker
}

#[test]
fn debians_docker_is_seen_whole() {
    let node = Node::with(&[
        ("var/lib/dpkg/status", DPKG),
        ("lib -> usr/lib", ""),
        ("usr/lib/systemd/system/docker.service", UNIT),
        ("usr/lib/systemd/system/containerd.service", "[Service]\nExecStart=/usr/bin/containerd\n"),
        ("etc/default/docker", "DOCKER_OPTS=\"--insecure-registry 10.0.0.0/8\"\n"),
        ("usr/sbin/dockerd", ""),
        ("usr/bin/containerd", ""),
    ]);
    let detected = node.detect();
    assert_eq!(
        detected.docker,
        Some(Docker {
            version: Some(Version::new(26, 1, 5)),
            running: Running::No,
            flags: vec![
                flag("host", "fd://", "/usr/lib/systemd/system/docker.service"),
                flag("insecure-registry", "10.0.0.0/8", "/etc/default/docker"),
            ],
        })
    );
    assert_eq!(
        detected.containerd,
        Some(Containerd {
            version: Some(Version::new(1, 7, 24)),
            running: Running::No,
            cri: CriUse::NotSeen,
            imports: Vec::new(),
        })
    );
}

#[test]
fn other_package_managers_know_versions_too() {
    let alpine = "P:docker-engine\nV:28.3.3-r1\n\nP:containerd\nV:2.1.4-r0\n";
    let stanza = "Package: containerd.io\nVersion: 1.7.27-1\n";
    for (files, docker, containerd) in [
        (vec![("lib/apk/db/installed", alpine)], Some((28, 3, 3)), Some((2, 1, 4))),
        (vec![("usr/lib/apk/db/installed", alpine)], Some((28, 3, 3)), Some((2, 1, 4))),
        (vec![("var/lib/pacman/local/docker-1:28.5.1-1/desc", "")], Some((28, 5, 1)), None),
        (vec![("var/lib/dpkg/status.d/containerd.io", stanza)], None, Some((1, 7, 27))),
        (vec![("var/lib/rpm/rpmdb.sqlite", "SQLite format 3")], None, None),
        (
            vec![("var/lib/dpkg/status", DPKG), ("usr/local/bin/dockerd", "")],
            None,
            Some((1, 7, 24)),
        ),
        (
            vec![("var/lib/dpkg/status", DPKG), ("usr/local/bin/containerd", "")],
            Some((26, 1, 5)),
            None,
        ),
    ] {
        let node = Node::with(&[("usr/bin/dockerd", ""), ("usr/bin/containerd", "")]);
        for (path, text) in &files {
            node.put(path, text);
        }
        let detected = node.detect();
        let version = |(major, minor, patch)| Version::new(major, minor, patch);
        assert_eq!(detected.docker.unwrap().version, docker.map(version), "{files:?}");
        assert_eq!(detected.containerd.unwrap().version, containerd.map(version), "{files:?}");
    }
}

#[test]
fn presence_has_several_signs_and_some_that_deceive() {
    for (file, text, here) in [
        ("usr/local/bin/dockerd", "", true),
        ("sbin/dockerd", "", true),
        ("etc/systemd/system/docker.service", UNIT, true),
        ("usr/bin/docker", "", false),
        ("etc/docker/daemon.json", "{}", false),
        ("etc/systemd/system/docker.service -> /dev/null", "", false),
        ("run/docker.sock -> /run/podman/podman.sock", "", false),
    ] {
        assert_eq!(docker(&[(file, text)]).is_some(), here, "{file}");
    }

    let node = Node::with(&[("run/", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(node.tree.path().join("run/docker.sock"));
    assert!(node.detect().docker.is_some());
    node.put("snap/docker/current/", "");
    assert_eq!(node.detect().docker, None, "the socket is the snap's");
}

#[test]
fn what_the_caller_knows_counts_more() {
    let overrides = Overrides {
        docker: Some(Version::new(24, 0, 1)),
        containerd: Some(Version::new(1, 6, 20)),
        cri: Some(true),
    };
    let node = Node::with(&[("var/lib/dpkg/status", DPKG)]);
    let detected = detect(&node.root, false, &overrides).unwrap();
    assert_eq!(detected.docker.unwrap().version, overrides.docker);
    let containerd = detected.containerd.unwrap();
    assert_eq!(containerd.version, overrides.containerd);
    assert_eq!(containerd.cri, CriUse::Used("the configuration says so".to_owned()));
}

#[test]
fn drop_ins_count_by_name_and_hide_each_other_by_directory() {
    let set = |name: &str| format!("[Service]\nEnvironment={name}\n");
    let unit = "[Service]\nExecStart=/usr/bin/dockerd $A $B $C $D\n";
    let files = [
        ("etc/systemd/system/docker.service", unit.to_owned()),
        ("usr/lib/systemd/system/docker.service", UNIT.to_owned()),
        ("usr/lib/systemd/system/docker.service.d/10-a.conf", set("A=--lib")),
        ("etc/systemd/system/docker.service.d/10-a.conf", set("A=--etc")),
        ("run/systemd/system/docker.service.d/20-b.conf", set("B=--run")),
        ("etc/systemd/system/docker.service.d/15-b.conf", set("B=--earlier")),
        ("usr/lib/systemd/system/docker.service.d/30-c.conf", set("C=--masked")),
        ("etc/systemd/system/docker.service.d/30-c.conf -> ../../../../dev/null", String::new()),
        ("usr/lib/systemd/system/service.d/40-d.conf", set("D=--every-service")),
        ("etc/systemd/system/docker.service.d/50.conf.bak", set("D=--no")),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let directory = "systemd/system/docker.service.d";
    assert_eq!(
        docker(&files).unwrap().flags,
        [
            flag("etc", "", &format!("/etc/{directory}/10-a.conf")),
            flag("run", "", &format!("/run/{directory}/20-b.conf")),
            flag("every-service", "", "/usr/lib/systemd/system/service.d/40-d.conf"),
        ]
    );
}

#[test]
fn a_masked_unit_sets_no_flags_and_hides_the_packages() {
    for mask in
        ["etc/systemd/system/docker.service -> /dev/null", "etc/systemd/system/docker.service"]
    {
        let files = [
            ("usr/sbin/dockerd", ""),
            ("usr/lib/systemd/system/docker.service", UNIT),
            ("etc/default/docker", "DOCKER_OPTS=--debug"),
            (mask, ""),
        ];
        assert_eq!(docker(&files).unwrap().flags, [], "{mask}");
    }
}

#[test]
fn without_systemd_the_scripts_options_count() {
    let alpine = "# any other random options you want to pass to docker\nDOCKER_OPTS=\"\"\n\
                  DOCKER_OPTS=\"$DOCKER_OPTS --registry-mirror https://m --label 'a b'\"\n";
    let debian = "#DOCKER_OPTS=\"--dns 8.8.8.8\"\nexport DOCKER_OPTS=\"-H=fd://\"\n";
    for (path, text, expected) in [
        ("etc/conf.d/docker", alpine, vec![("registry-mirror", "https://m"), ("label", "a b")]),
        ("etc/default/docker", debian, vec![("host", "fd://")]),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, value)| flag(name, value, &format!("/{path}")))
            .collect();
        let flags = docker(&[("usr/bin/dockerd", ""), (path, text)]).unwrap().flags;
        assert_eq!(flags, expected, "{path}");
    }
}

#[test]
fn cri_is_used_where_a_kubelet_pulls_through_this_containerd() {
    let endpoint =
        "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/cri-dockerd.sock\"";
    let sandbox = "var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/4f/";
    for (files, used) in [
        (vec![("usr/bin/kubelet", "")], Some("kubelet is installed")),
        (
            vec![("etc/systemd/system/kubelet.service", "[Service]\n")],
            Some("there is a kubelet.service"),
        ),
        (
            vec![("etc/kubernetes/kubelet.conf", "")],
            Some("there is a /etc/kubernetes/kubelet.conf"),
        ),
        (
            vec![("var/lib/kubelet/pods/", "")],
            Some("kubelet has left its files in /var/lib/kubelet"),
        ),
        (vec![(sandbox, "")], Some("containerd has pod sandboxes")),
        (vec![("var/lib/kubelet/", "")], None),
        (vec![("var/lib/kubelet/pods/", ""), ("var/lib/rancher/k3s/", "")], None),
        (vec![("usr/bin/kubelet", ""), ("var/lib/kubelet/kubeadm-flags.env", endpoint)], None),
        (
            vec![(sandbox, ""), ("var/lib/kubelet/kubeadm-flags.env", endpoint)],
            Some("containerd has pod sandboxes"),
        ),
    ] {
        let node = Node::with(&[("usr/bin/containerd", "")]);
        for (path, text) in &files {
            node.put(path, text);
        }
        let expected = used.map_or(CriUse::NotSeen, |why| CriUse::Used(why.to_owned()));
        assert_eq!(node.detect().containerd.unwrap().cri, expected, "{files:?}");
    }
}

/// A procfs with a systemd, and these processes: pid, name, group.
fn procfs(node: &Node, processes: &[(u32, &str, &str)]) {
    node.put("proc/stat", "cpu 1 2\nbtime 1700000000\n");
    for (pid, name, group) in [&(1, "systemd", "/init.scope")].into_iter().chain(processes) {
        let rest = format!("S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid}00 0");
        node.put(&format!("proc/{pid}/stat"), &format!("{pid} ({name}) {rest}"));
        node.put(&format!("proc/{pid}/comm"), &format!("{name}\n"));
        node.put(&format!("proc/{pid}/cgroup"), &format!("0::{group}\n"));
    }
}

#[test]
fn the_nodes_own_daemons_are_found_among_others() {
    let service = "/system.slice/docker.service";
    let shim = (14, "containerd-shim", "/system.slice/containerd.service");
    let dind = (15, "dockerd", "/system.slice/docker-4f.scope/docker");
    let k3s = (16, "containerd", "/system.slice/k3s.service");
    let proxy = (17, "docker-proxy", service);
    let own = (18, "containerd", service);
    let started = |pid: i64| since((1_700_000_000 + pid) * 1000);
    for (processes, pid_file, docker, containerd) in [
        (
            vec![(12, "dockerd", service), (13, "containerd", "/system.slice/containerd.service")],
            "12",
            started(12),
            started(13),
        ),
        (vec![(12, "dockerd-current", service)], "", started(12), Running::No),
        (vec![(12, "dockerd", "/")], "12\n", started(12), Running::No),
        (vec![(12, "dockerd", "/")], "", Running::Unknown, Running::No),
        (vec![(13, "containerd", "/openrc.containerd")], "", Running::No, Running::Unknown),
        (vec![shim, dind, k3s, proxy, own], "", Running::No, Running::No),
        (vec![(12, "bash", "/")], "12", Running::Unknown, Running::No),
        (vec![], "99", Running::Unknown, Running::No),
        (vec![], "", Running::No, Running::No),
    ] {
        let node = Node::with(&[("usr/bin/dockerd", ""), ("usr/bin/containerd", "")]);
        procfs(&node, &processes);
        if !pid_file.is_empty() {
            node.put("run/docker.pid", pid_file);
        }
        let detected = node.live();
        assert_eq!(detected.docker.unwrap().running, docker, "{processes:?}");
        assert_eq!(detected.containerd.unwrap().running, containerd, "{processes:?}");
        let still = node.detect();
        assert_eq!(still.docker.unwrap().running, Running::No, "not a live node");
        assert_eq!(still.containerd.unwrap().running, Running::No, "not a live node");
    }
}

#[test]
fn without_a_view_of_all_processes_nothing_is_certain() {
    let files = [("usr/bin/dockerd", ""), ("usr/bin/containerd", ""), ("run/docker.pid", "12")];
    let running = |node: &Node| {
        let detected = node.live();
        (detected.docker.unwrap().running, detected.containerd.unwrap().running)
    };
    let unknown = (Running::Unknown, Running::Unknown);
    assert_eq!(running(&Node::with(&files)), unknown, "no procfs");

    let node = Node::with(&files);
    procfs(&node, &[(12, "dockerd", "/system.slice/docker.service")]);
    fs::remove_file(node.tree.path().join("proc/stat")).unwrap();
    assert_eq!(running(&node), (Running::Unknown, Running::No), "no time of boot");

    let node = Node::with(&files[..2]);
    procfs(&node, &[(12, "dockerd", "/system.slice/docker.service")]);
    fs::remove_file(node.tree.path().join("proc/12/comm")).unwrap();
    node.put("proc/12/comm/", "");
    assert_eq!(running(&node), unknown, "a process that cannot be read may be any");
}

#[test]
fn another_pid_file_is_found_by_its_flag() {
    let unit = "[Service]\nExecStart=/usr/bin/dockerd --pidfile /var/run/d.pid\n";
    let node = Node::with(&[("etc/systemd/system/docker.service", unit), ("var/run/d.pid", "12")]);
    procfs(&node, &[(12, "dockerd", "/")]);
    assert_eq!(node.live().docker.unwrap().running, since(1_700_000_012_000));
}
