use super::*;

fn hosts(version: Option<Version>, main: &str) -> HostsDir {
    examine(&containerd(version, &[]), &files(main, &[]), None).hosts
}

fn conflict(state: &HostsDir) -> (&str, &str) {
    match state {
        HostsDir::Conflict { message, cure, .. } => (message, cure),
        other => panic!("no conflict: {other:?}"),
    }
}

fn registry(settings: &str) -> String {
    format!("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n{settings}\n")
}

#[test]
fn configurations_as_packages_and_people_leave_them_are_unset() {
    for (version, text) in [
        (V1_7, DEFAULT_1_7),
        (V2_1, DEFAULT_1_7),
        (V2_1, DEFAULT_2_1),
        (V1_7, DEBIAN),
        (V1_7, KUBEADM),
        (V1_7, ""),
        (V1_7, "# nothing\n"),
    ] {
        let state = examine(&containerd(version, &[]), &files(text, &[]), None);
        assert_eq!(state, ConfigState { hosts: HostsDir::Unset, notes: vec![] }, "{text}");
    }
    let nothing = examine(&containerd(V1_7, &[]), &Files::default(), None);
    assert_eq!(nothing, ConfigState { hosts: HostsDir::Unset, notes: vec![] });
}

#[test]
fn a_disabled_cri_plugin_makes_it_all_pointless() {
    let full = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
    for text in [DOCKER_COM, full] {
        let state = examine(&containerd(V1_7, &[]), &files(text, &[]), None);
        let note = "containerd's CRI plugin is disabled in `/etc/containerd/config.toml`, so nothing on this node pulls through it";
        assert_eq!(state, ConfigState { hosts: HostsDir::Off, notes: vec![note.to_owned()] });
    }
}

#[test]
fn a_directory_that_an_administrator_set_is_used_as_it_is() {
    let text = registry("config_path = '/srv/registries/'");
    let theirs = |source: &str| HostsDir::Theirs {
        directory: NodePath::new("srv/registries").unwrap(),
        source: NodePath::new(source).unwrap(),
    };
    assert_eq!(hosts(V1_7, &text), theirs("etc/containerd/config.toml"));
    assert_eq!(hosts(None, &text), theirs("etc/containerd/config.toml"), "nothing needs editing");
    let import = "etc/containerd/conf.d/a.toml";
    for version in [V1_7, V2_1] {
        let state =
            examine(&containerd(version, &[import]), &files(DEBIAN, &[(import, &text)]), None);
        assert_eq!(state.hosts, theirs(import));
    }
}

#[test]
fn our_own_value_is_known_again_and_a_changed_one_is_theirs() {
    let owned = ours(None, None);
    let look = |value: &str| {
        let text = registry(&format!("config_path = '{value}'"));
        examine(&containerd(V1_7, &[]), &files(&text, &[]), Some(&owned)).hosts
    };
    assert_eq!(look(DIR), HostsDir::Ours { directory: default_hosts_dir() });
    assert!(matches!(look("/srv/certs.d"), HostsDir::Theirs { .. }));
    assert_eq!(look(""), HostsDir::Unset);
}

#[test]
fn old_registry_settings_would_stop_cri_from_loading() {
    let tls = "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"h\".tls]\ninsecure_skip_verify = true";
    let mirrors =
        "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = []";
    for (version, settings, start) in [
        (V1_7, mirrors, "`registry.mirrors` is set in `/etc/containerd/config.toml`"),
        (V2_1, mirrors, "`registry.mirrors` is set in"),
        (V1_7, tls, "`registry.configs.*.tls` is set in `/etc/containerd/config.toml`"),
        (None, tls, "`registry.configs.*.tls` is set in"),
    ] {
        let state = hosts(version, &registry(settings));
        let (message, cure) = conflict(&state);
        assert!(message.starts_with(start), "{message}");
        assert!(message.ends_with("beside `config_path` it stops CRI from loading"), "{message}");
        assert_eq!(cure, "declare what they say as registries and mirrors, and remove them");
    }
    let state = examine(&containerd(V2_1, &[]), &files(&registry(tls), &[]), None);
    assert_eq!(state.hosts, HostsDir::Unset);
    assert_eq!(
        state.notes,
        [
            "`registry.configs.*.tls` in `/etc/containerd/config.toml` is ignored by containerd 2.0 and later"
        ]
    );
}

#[test]
fn credentials_may_stay_with_a_note_where_they_change_how_images_are_pulled() {
    let auth =
        "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"h\".auth]\nusername = 'u'";
    let notes = |version| {
        let state = examine(&containerd(version, &[]), &files(&registry(auth), &[]), None);
        assert_eq!(state.hosts, HostsDir::Unset);
        state.notes
    };
    assert_eq!(notes(V1_7), [""; 0]);
    assert_eq!(
        notes(V2_1),
        [
            "`registry.configs.*.auth` or `registry.auths` in `/etc/containerd/config.toml` makes containerd 2.1 and later pull without the transfer service"
        ]
    );
}

#[test]
fn what_containerd_would_misread_is_a_conflict() {
    let v3 = "version = 3\n";
    for (version, text, expected) in [
        (
            V2_1,
            registry("config_path = '/a:/b'"),
            "`config_path` in `/etc/containerd/config.toml` lists several directories, `/a:/b`, which containerd 2.1 and later take as the name of one",
        ),
        (
            V1_7,
            registry("config_path = 'certs.d'"),
            "`config_path` in `/etc/containerd/config.toml` is `certs.d`, not an absolute path",
        ),
        (V1_7, v3.to_owned(), "`/etc/containerd/config.toml` is of version 3; 2 is known here"),
        (
            V2_2,
            "version = 4\n".to_owned(),
            "`/etc/containerd/config.toml` is of version 4; 3 is known here",
        ),
        (
            None,
            "version = 5\n".to_owned(),
            "`/etc/containerd/config.toml` is of version 5; 4 is known here",
        ),
        (
            V1_7,
            "[plugins.cri]\n".to_owned(),
            "`/etc/containerd/config.toml` has settings but no `version = 2`: containerd then ignores plugins by their full names, and `config_path` with them",
        ),
        (
            V1_7,
            "version = '2'\n".to_owned(),
            "`/etc/containerd/config.toml`: `version` is not a number",
        ),
        (
            V1_7,
            registry("config_path = 1"),
            "`/etc/containerd/config.toml`: `registry.config_path` is not a string",
        ),
        (
            V1_7,
            "version = 2\nplugins = 1\n".to_owned(),
            "`/etc/containerd/config.toml`: `plugins` is not a table",
        ),
    ] {
        let state = hosts(version, &text);
        assert_eq!(conflict(&state).0, expected);
    }
    let state = hosts(V1_7, "version = [");
    assert!(conflict(&state).0.starts_with("`/etc/containerd/config.toml` is not valid TOML: "));
    assert_eq!(hosts(V2_1, v3), HostsDir::Unset);
    assert_eq!(hosts(Some(Version::new(2, 3, 0)), "version = 4\n"), HostsDir::Unset);
}

#[test]
fn an_import_that_would_swallow_our_key_is_a_conflict() {
    let import = "etc/containerd/conf.d/a.toml";
    let cni = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = '/opt'\n";
    let look = |version, text: &str| {
        examine(&containerd(version, &[import]), &files(DEBIAN, &[(import, text)]), None).hosts
    };
    let swallowed = look(V1_7, cni);
    assert_eq!(
        conflict(&swallowed),
        (
            "`/etc/containerd/conf.d/a.toml` is imported and has a table for CRI, which replaces the main file's as a whole on containerd 1.x",
            "add `config_path = \"/etc/containerd/certs.d\"` under [plugins.\"io.containerd.grpc.v1.cri\".registry] there"
        )
    );
    assert_eq!(look(V2_1, cni), HostsDir::Unset, "2.x merges the tables");
    assert_eq!(look(V1_7, "version = 2\n[debug]\n"), HostsDir::Unset);
    let newer = look(V2_1, "version = 3\n[debug]\n");
    assert_eq!(conflict(&newer).1, "give both files the same version");
    let mirrors = look(V2_1, &registry("mirrors = { 'a' = { endpoint = [] } }"));
    assert!(conflict(&mirrors).0.contains(import));
    let absent = examine(&containerd(V2_1, &[import]), &files(DEBIAN, &[]), None).hosts;
    assert_eq!(conflict(&absent).0, "`/etc/containerd/conf.d/a.toml` is imported and is not there");
}

#[test]
fn what_is_no_plain_file_is_not_edited() {
    for (found, start) in [
        (
            Found::Symlink { to: "/opt/c.toml".to_owned() },
            "`/etc/containerd/config.toml` is a symbolic link to `/opt/c.toml`",
        ),
        (
            Found::Unreadable { error: "EACCES".to_owned() },
            "`/etc/containerd/config.toml` cannot be read: EACCES",
        ),
        (Found::Directory, "`/etc/containerd/config.toml` is not a file"),
        (
            Found::File { content: Content::plain(DEBIAN), mode: 0o644, immutable: true },
            "`/etc/containerd/config.toml` is immutable",
        ),
        (
            Found::File { content: Content::plain([0xff]), mode: 0o644, immutable: false },
            "`/etc/containerd/config.toml` is not UTF-8",
        ),
    ] {
        let mut files = Files::default();
        files.insert(&config_file(), found);
        let state = examine(&containerd(V1_7, &[]), &files, None).hosts;
        assert!(conflict(&state).0.starts_with(start), "{state:?}");
    }
}

#[test]
fn an_unknown_containerd_is_left_alone_with_the_lines_to_add() {
    let state = examine(&containerd(None, &[]), &files(DEFAULT_2_1, &[]), None);
    assert_eq!(state.hosts, HostsDir::ByHand);
    assert_eq!(
        state.notes,
        [
            "the version of containerd is not known, so `/etc/containerd/config.toml` is left alone; add by hand, in a file with `version = 3`: [plugins.\"io.containerd.cri.v1.images\".registry] config_path = \"/etc/containerd/certs.d\", and restart containerd"
        ]
    );
    let nothing = examine(&containerd(None, &[]), &Files::default(), None);
    assert_eq!(nothing.hosts, HostsDir::ByHand);
}

#[test]
fn the_default_list_of_2_2_counts_as_unset_unless_it_really_works() {
    let dump = DEFAULT_2_1.replace("config_path = ''", &format!("config_path = '{DEFAULT_LIST}'"));
    let local = dump.replace("use_local_image_pull = false", "use_local_image_pull = true");
    let mut used = files(&local, &[]);
    used.list(&NodePath::new("etc/docker/certs.d").unwrap(), ["h.corp"]);
    assert_eq!(hosts(V2_2, &dump), HostsDir::Unset);
    assert_eq!(hosts(V2_2, &local), HostsDir::Unset, "there is nothing to lose");
    let state = examine(&containerd(V2_2, &[]), &used, None).hosts;
    assert_eq!(
        conflict(&state).0,
        "containerd also reads `/etc/docker/certs.d` here, which has h.corp; it can read only one directory reliably"
    );
    assert!(conflict(&hosts(V2_1, &dump)).0.contains("lists several directories"));
}

#[test]
fn an_import_has_the_last_word_and_ours_is_not_in_force_then() {
    let import = "etc/containerd/conf.d/a.toml";
    let own = ours(None, None);
    let main = registry(&format!("config_path = '{DIR}'"));
    let look = |version, text: &str| {
        examine(&containerd(version, &[import]), &files(&main, &[(import, text)]), Some(&own)).hosts
    };
    let cni = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = '/opt'\n";
    assert!(conflict(&look(V1_7, cni)).0.contains("replaces the main file's as a whole"));
    assert_eq!(look(V2_1, cni), HostsDir::Ours { directory: default_hosts_dir() });
    let empty = registry("config_path = ''");
    assert_eq!(look(V2_1, &empty), HostsDir::Ours { directory: default_hosts_dir() });
    let list = look(V2_2, &registry(&format!("config_path = '{DEFAULT_LIST}'")));
    assert!(
        conflict(&list).0.starts_with("`config_path` in `/etc/containerd/conf.d/a.toml` lists")
    );
}
