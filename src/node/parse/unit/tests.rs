use super::*;
use crate::node::parse::flags;

/// Debian 13's, shortened by what has no say here.
const DEBIAN: &str = "\
[Unit]
Description=Docker Application Container Engine
After=network-online.target docker.socket firewalld.service containerd.service time-set.target
Requires=docker.socket

[Service]
Type=notify
EnvironmentFile=-/etc/default/docker
# the default is not to use systemd for cgroups because the delegate issues still
# exists and systemd currently does not support the cgroup feature set required
# for containers run by docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
LimitNOFILE=1048576
KillMode=process

[Install]
WantedBy=multi-user.target
";

/// docker.com's.
const DOCKER_CE: &str = "\
[Service]
Type=notify
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
";

/// The one that Kubernetes installers for docker write.
const KUBESPHERE: &str = "\
[Service]
Type=notify
ExecStart=/usr/bin/dockerd $DOCKER_OPTS
";

/// And the drop-in from its manual.
const KUBESPHERE_OPTIONS: &str = "\
[Service]
Environment=\"DOCKER_OPTS=--registry-mirror=https://registry.docker-cn.com --insecure-registry=10.233.0.0/18 --graph=/var/lib/docker --log-opt max-size=50m --log-opt max-file=5 \\
--insecure-registry=139.198.16.232\"
";

/// RHEL 7's own docker.
const REDHAT: &str = "\
[Service]
Type=notify
EnvironmentFile=-/run/containers/registries.conf
EnvironmentFile=-/etc/sysconfig/docker
Environment=GOTRACEBACK=crash
Environment=DOCKER_HTTP_HOST_COMPAT=1
ExecStart=/usr/bin/dockerd-current \\
          --add-runtime docker-runc=/usr/libexec/docker/docker-runc-current \\
          --exec-opt native.cgroupdriver=systemd \\
          # not on this host
          $OPTIONS \\
          $INSECURE_REGISTRY
ExecReload=/bin/kill -s HUP $MAINPID
";

fn fragment(source: &str, text: &str) -> Fragment {
    Fragment { source: source.to_owned(), text: text.to_owned() }
}

/// Every flag as `name=value @file`.
fn flags_of(units: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
    let units: Vec<_> = units.iter().map(|(source, text)| fragment(source, text)).collect();
    let mut service = Service::read(&units);
    for (source, text) in files {
        service.load(&fragment(source, text));
    }
    flags::flags(&service.command().unwrap_or_default())
        .into_iter()
        .map(|flag| format!("{}={} @{}", flag.name, flag.value, flag.source))
        .collect()
}

#[test]
fn debians_unit_takes_what_etc_default_says() {
    let file = EnvironmentFile { path: "/etc/default/docker".to_owned(), optional: true };
    assert_eq!(Service::read(&[fragment("unit", DEBIAN)]).environment_files, [file]);

    let options = "DOCKER_OPTS=\"--dns 8.8.8.8 --insecure-registry harbor.corp\"\n";
    assert_eq!(
        flags_of(&[("unit", DEBIAN)], &[("default", options)]),
        [
            "host=fd:// @unit",
            "containerd=/run/containerd/containerd.sock @unit",
            "dns=8.8.8.8 @default",
            "insecure-registry=harbor.corp @default",
        ]
    );
    let bare = ["host=fd:// @unit", "containerd=/run/containerd/containerd.sock @unit"];
    assert_eq!(flags_of(&[("unit", DEBIAN)], &[]), bare, "an unset variable is no word at all");
}

#[test]
fn docker_opts_without_a_unit_that_uses_it_set_nothing() {
    let units = [("unit", DOCKER_CE), ("options", KUBESPHERE_OPTIONS)];
    let bare = ["host=fd:// @unit", "containerd=/run/containerd/containerd.sock @unit"];
    assert_eq!(flags_of(&units, &[]), bare);
}

#[test]
fn kubespheres_drop_in_is_named_as_what_sets_the_flags() {
    let units = [("unit", KUBESPHERE), ("docker-options.conf", KUBESPHERE_OPTIONS)];
    assert_eq!(
        flags_of(&units, &[]),
        [
            "registry-mirror=https://registry.docker-cn.com @docker-options.conf",
            "insecure-registry=10.233.0.0/18 @docker-options.conf",
            "graph=/var/lib/docker @docker-options.conf",
            "log-opt=max-size=50m @docker-options.conf",
            "log-opt=max-file=5 @docker-options.conf",
            "insecure-registry=139.198.16.232 @docker-options.conf",
        ]
    );
}

#[test]
fn redhats_unit_is_read_across_its_lines() {
    let files = [
        ("registries", "INSECURE_REGISTRY=\"--insecure-registry a --insecure-registry b\"\n"),
        ("sysconfig", "OPTIONS='--selinux-enabled --log-driver=journald'\n"),
    ];
    assert_eq!(
        flags_of(&[("unit", REDHAT)], &files),
        [
            "add-runtime=docker-runc=/usr/libexec/docker/docker-runc-current @unit",
            "exec-opt=native.cgroupdriver=systemd @unit",
            "selinux-enabled= @sysconfig",
            "log-driver=journald @sysconfig",
            "insecure-registry=a @registries",
            "insecure-registry=b @registries",
        ]
    );
}

#[test]
fn an_empty_exec_start_forgets_the_ones_before() {
    let reset = "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --debug\n";
    assert_eq!(flags_of(&[("unit", DOCKER_CE), ("reset", reset)], &[]), ["debug= @reset"]);
    let only = "[Service]\nExecStart=\n";
    assert_eq!(Service::read(&[fragment("a", DOCKER_CE), fragment("b", only)]).command(), None);
}

#[test]
fn a_file_overrides_environment_wherever_it_stands_and_empty_values_reset() {
    let unit =
        "[Service]\nEnvironmentFile=/f\nExecStart=/bin/dockerd $A $B\nEnvironment=A=--a B=--b\n";
    let units = [("unit", unit)];
    assert_eq!(flags_of(&units, &[("file", "A=--c\n")]), ["c= @file", "b= @unit"]);
    assert_eq!(flags_of(&units, &[("f", "A=--c\n"), ("g", "A=--d\n")]), ["d= @g", "b= @unit"]);

    let reset = "[Service]\nEnvironment=\nEnvironmentFile=\nEnvironment=A=--x\n";
    let service = Service::read(&[fragment("unit", unit), fragment("reset", reset)]);
    assert_eq!(service.environment_files, []);
    assert_eq!(flags_of(&[("unit", unit), ("reset", reset)], &[]), ["x= @reset"]);
}

#[test]
fn variables_are_expanded_as_systemd_does_it() {
    for (exec, expected) in [
        ("--a=${X}", vec!["a=1 2 @unit"]),
        ("--a=$X", vec!["a=$X @unit"]),
        ("--a=$$X", vec!["a=$X @unit"]),
        ("--a \"$X\"", vec!["a=1 @unit"]),
        ("--a=${UNSET}b", vec!["a=b @unit"]),
        ("--a=${X:-y}", vec!["a=${X:-y} @unit"]),
        ("${FLAG}", vec!["f=one two @env"]),
        ("$FLAG", vec!["f=one @env"]),
        ("$QUOTED", vec!["q=a b @env"]),
        ("$X/y --a", vec!["a= @unit"]),
        ("--a=50%%", vec!["a=50% @unit"]),
        ("--a=b ; /bin/true --c", vec!["a=b @unit"]),
        ("'--a=b c'", vec!["a=b c @unit"]),
    ] {
        let unit = format!("[Service]\nExecStart=/usr/bin/dockerd {exec}\nEnvironment=\"X=1 2\"\n");
        let env = "[Service]\nEnvironment=\"FLAG=--f=one two\" \"QUOTED='--q=a b'\"\n";
        assert_eq!(flags_of(&[("unit", &unit), ("env", env)], &[]), expected, "{exec}");
    }
}

#[test]
fn prefixes_and_shells_do_not_hide_the_command() {
    let env = ("env", "[Service]\nEnvironment=O=--b\n");
    for (exec, expected) in [
        ("-/usr/bin/dockerd --a $O", vec!["a= @unit", "b= @env"]),
        ("@/usr/bin/dockerd other --a", vec!["a= @unit"]),
        (":/usr/bin/dockerd --a=${O} $O", vec!["a=${O} @unit"]),
        ("+!!/usr/bin/dockerd --a", vec!["a= @unit"]),
        ("/bin/sh -c 'exec /usr/bin/dockerd --a $$O'", vec!["a= @unit", "b= @env"]),
        ("/bin/bash -ec \"dockerd --a=1 --c\"", vec!["a=1 @unit", "c= @unit"]),
        ("/usr/bin/dockerd \"--a", vec![]),
    ] {
        let unit = format!("[Service]\nExecStart={exec}\n");
        assert_eq!(flags_of(&[("unit", &unit), env], &[]), expected, "{exec}");
    }
}

#[test]
fn only_the_service_section_counts_and_comments_do_not() {
    let unit = "\
ExecStart=/bin/dockerd --before
[Unit]
ExecStart=/bin/dockerd --unit
  [Service]
; ExecStart=/bin/dockerd --semicolon
  #ExecStart=/bin/dockerd --comment
  ExecStart = /bin/dockerd --a=C:\\\\
ExecReload=/bin/dockerd --reload
[X-Service]
ExecStart=/bin/dockerd --other
";
    assert_eq!(flags_of(&[("unit", unit)], &[]), ["a=C:\\ @unit"]);
}
