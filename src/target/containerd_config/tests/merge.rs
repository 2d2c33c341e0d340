use proptest::prelude::*;

use super::*;

fn set(text: &str) -> (String, ConfigOwned) {
    let merged = merge(Some(text), None, Some(DIR), V1_7).unwrap_or_else(|e| panic!("{e}: {text}"));
    (merged.text.unwrap(), merged.owned.unwrap())
}

fn withdraw(text: &str, owned: &ConfigOwned) -> Option<String> {
    let merged = merge(Some(text), Some(owned), None, V1_7).unwrap();
    assert_eq!(merged.owned, None);
    merged.text
}

/// The lines that one text has and the other has not.
fn added<'a>(before: &str, after: &'a str) -> Vec<&'a str> {
    let before: Vec<_> = before.lines().collect();
    after.lines().filter(|line| !before.contains(line)).collect()
}

#[test]
fn a_node_without_a_configuration_gets_a_small_one_that_every_release_reads() {
    let merged = merge(None, None, Some(DIR), V1_7).unwrap();
    let text = "\
# Written by regtrust, because containerd had no configuration of its own.
# `config_path` is the directory where CRI looks for registry settings; the rest is yours.
version = 2

[plugins.\"io.containerd.grpc.v1.cri\".registry]
config_path = \"/etc/containerd/certs.d\"
";
    assert_eq!(merged.text.as_deref(), Some(text));
    let owned = merged.owned.unwrap();
    assert!(owned.created_file);
    assert_eq!(withdraw(text, &owned), None, "the file goes, as it came");
}

#[test]
fn a_file_of_ours_that_somebody_extended_keeps_their_settings_and_their_version() {
    let merged = merge(None, None, Some(DIR), V1_7).unwrap();
    let theirs = "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/opt\"\n";
    let edited = merged.text.unwrap() + theirs;
    let left = withdraw(&edited, &merged.owned.unwrap()).unwrap();
    assert!(left.ends_with(&format!("version = 2\n\n{theirs}")), "{left}");
    assert!(!left.contains("config_path ="), "{left}");
}

#[test]
fn the_empty_value_of_a_default_dump_is_replaced_and_put_back() {
    for (dump, value) in [(DEFAULT_1_7, "\"\""), (DEFAULT_2_1, "''")] {
        let (text, owned) = set(dump);
        let expected = dump.replace(
            &format!("config_path = {value}"),
            "config_path = \"/etc/containerd/certs.d\"",
        );
        assert_eq!(text, expected);
        assert_eq!(owned, ours(Some(value), None));
        assert_eq!(withdraw(&text, &owned).as_deref(), Some(dump));
    }
}

#[test]
fn the_default_list_is_replaced_from_2_2_on_because_it_is_read_as_one_directory() {
    let dump = DEFAULT_2_1.replace("config_path = ''", &format!("config_path = '{DEFAULT_LIST}'"));
    let merged = merge(Some(&dump), None, Some(DIR), V2_2).unwrap();
    let owned = merged.owned.unwrap();
    assert_eq!(owned.replaced, Some(format!("'{DEFAULT_LIST}'")));
    assert_eq!(withdraw(&merged.text.unwrap(), &owned), Some(dump.clone()));
    let early = merge(Some(&dump), None, Some(DIR), V2_1).unwrap_err();
    assert_eq!(
        early.to_string(),
        format!("`config_path` is already `{DEFAULT_LIST}`, and regtrust did not set it")
    );
}

#[test]
fn a_missing_table_is_appended_under_the_name_of_the_files_version() {
    for (text, table) in [
        (DEBIAN, "[plugins.\"io.containerd.grpc.v1.cri\".registry]"),
        (KUBEADM, "[plugins.\"io.containerd.grpc.v1.cri\".registry]"),
        ("version = 3\n", "[plugins.\"io.containerd.cri.v1.images\".registry]"),
    ] {
        let (new, owned) = set(text);
        let inserted = format!("\n{table}\nconfig_path = \"{DIR}\"\n");
        assert_eq!(new, format!("{text}{inserted}"));
        assert_eq!(owned, ours(None, Some(&inserted)));
    }
}

#[test]
fn each_way_to_write_a_table_has_its_own_way_in() {
    let path = "config_path = \"/etc/containerd/certs.d\"";
    for (text, line) in [
        // Under a header, as deep as its neighbours.
        (
            "version = 2\n  [plugins.'io.containerd.grpc.v1.cri'.registry] # x\n    a = 1\n",
            format!("    {path}"),
        ),
        ("version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]", path.to_owned()),
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nregistry.headers = {}\n",
            format!("registry.{path}"),
        ),
        (
            "version = 2\n[plugins]\n \"io.containerd.grpc.v1.cri\".registry.headers = {}\n",
            format!("\"io.containerd.grpc.v1.cri\".registry.{path}"),
        ),
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nregistry = {}\n",
            format!("registry = {{ {path} }}"),
        ),
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nregistry = { headers = {} }\n",
            format!("registry = {{ {path}, headers = {{}} }}"),
        ),
        (
            "version = 2\n[plugins]\n'io.containerd.grpc.v1.cri' = {}\n",
            format!("'io.containerd.grpc.v1.cri' = {{ registry = {{ {path} }} }}"),
        ),
        (
            "version = 2\nplugins.'io.containerd.grpc.v1.cri'.registry.headers = {}\n",
            format!("plugins.\"io.containerd.grpc.v1.cri\".registry.{path}"),
        ),
        ("version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry.headers]\n", path.to_owned()),
    ] {
        let (new, owned) = set(text);
        assert_eq!(added(text, &new).last(), Some(&&*line), "{new}");
        assert_eq!(withdraw(&new, &owned).as_deref(), Some(text));
    }
}

#[test]
fn a_file_of_comments_gets_a_version_too_and_loses_it_with_the_key() {
    for text in ["", "# nothing yet", "# nothing\r\n\r\n"] {
        let (new, owned) = set(text);
        assert!(new.contains("version = 2"), "{new}");
        assert_eq!(withdraw(&new, &owned).as_deref(), Some(text));
    }
}

#[test]
fn line_ends_of_another_system_stay() {
    let text = DEFAULT_1_7.replace('\n', "\r\n");
    let (new, owned) = set(&text);
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    assert_eq!(withdraw(&new, &owned), Some(text));
    let (new, _) = set(&DEBIAN.replace('\n', "\r\n"));
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
}

#[test]
fn settings_without_a_version_are_not_given_one() {
    let error = merge(Some("root = \"/data\"\n"), None, Some(DIR), V1_7).unwrap_err();
    assert!(matches!(error, MergeError::Unversioned), "{error}");
}

#[test]
fn what_cannot_be_edited_exactly_is_refused() {
    for (text, message) in [
        ("version = 2\n[plugins", "config.toml is not valid TOML"),
        (
            "version = 2\nplugins = 1\n",
            "`plugins.io.containerd.grpc.v1.cri.registry.config_path` leads through something that is not a table",
        ),
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = 1\n",
            "`config_path` cannot be set without changing other settings",
        ),
        (
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/their/own\"\n",
            "`config_path` is already `/their/own`, and regtrust did not set it",
        ),
    ] {
        let error = merge(Some(text), None, Some(DIR), V1_7).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_value_that_somebody_changed_since_is_left_and_released() {
    let (text, owned) = set(DEFAULT_1_7);
    let theirs = text.replace(DIR, "/srv/certs.d");
    assert_eq!(withdraw(&theirs, &owned), Some(theirs.clone()));
    let (text, owned) = set(DEBIAN);
    let gone = text.replace("config_path", "# config_path");
    assert_eq!(withdraw(&gone, &owned), Some(gone.clone()));
}

#[test]
fn the_same_value_set_by_somebody_else_is_not_taken() {
    let text = DEFAULT_1_7.replace("config_path = \"\"", &format!("config_path = \"{DIR}\""));
    let merged = merge(Some(&text), None, Some(DIR), V1_7).unwrap();
    assert_eq!(merged, Merged { text: Some(text), owned: None });
}

#[test]
fn another_directory_replaces_ours_and_can_still_be_taken_out() {
    for text in [DEFAULT_1_7, DEBIAN, KUBEADM, ""] {
        let (first, owned) = set(text);
        let moved = merge(Some(&first), Some(&owned), Some("/srv/certs.d"), V1_7).unwrap();
        let (second, owned) = (moved.text.unwrap(), moved.owned.unwrap());
        assert_eq!(second, first.replace(DIR, "/srv/certs.d"));
        assert_eq!(withdraw(&second, &owned).as_deref(), Some(text));
    }
}

#[test]
fn keys_that_somebody_put_under_our_header_stay_under_it() {
    let (text, owned) = set(KUBEADM);
    let edited = text + "headers = { a = \"b\" }\n";
    let left = withdraw(&edited, &owned).unwrap();
    let expected = format!(
        "{KUBEADM}\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nheaders = {{ a = \"b\" }}\n"
    );
    assert_eq!(left, expected);
}

#[test]
fn a_file_that_was_migrated_since_still_loses_our_key() {
    let (_, owned) = set(DEBIAN);
    let migrated = DEFAULT_2_1.replace("config_path = ''", &format!("config_path = '{DIR}'"));
    let left = withdraw(&migrated, &owned).unwrap();
    assert_eq!(left, DEFAULT_2_1.replace("      config_path = ''\n", ""));
}

fn layouts() -> impl Strategy<Value = String> {
    let head = prop_oneof![
        Just("version = 2\n"),
        Just("# top\nversion=2 # two\nroot = '/data'\n"),
        Just("version = 2\n\n[debug]\n  level = 'info'\n"),
    ];
    let plugins = prop_oneof![
        Just(""),
        Just("[plugins]\n"),
        Just("[plugins]\n\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    sandbox_image = 'x'\n"),
        Just("[plugins.'io.containerd.grpc.v1.cri']\n\tregistry.headers.a = 'b' # tab\n"),
        Just("[plugins.'io.containerd.grpc.v1.cri']\nregistry = {  }\n"),
        Just("[plugins.'io.containerd.grpc.v1.cri']\nregistry = {headers={},config_path=\"\"}\n"),
        Just("[plugins.'io.containerd.grpc.v1.cri']\nregistry.config_path = ''\n"),
        Just("[ plugins . \"io.containerd.grpc.v1.cri\" . registry ]\n"),
        Just(
            "  [plugins.'io.containerd.grpc.v1.cri'.registry] # ü\n\n   # why\n     config_path = '' # none\n"
        ),
        Just("[plugins.\"io.containerd.grpc.v1.cri\".registry.headers]\nA = ['b']\n"),
        Just("plugins.'io.containerd.grpc.v1.cri'.registry.headers = {}\n"),
        Just("plugins = { 'io.containerd.grpc.v1.cri' = { cni = {} } }\n"),
    ];
    let tail =
        prop_oneof![Just(""), Just("\n"), Just("[timeouts]\n  a = '5s'\n\n# end"), Just("# ä")];
    (head, plugins, tail, any::<bool>(), any::<bool>()).prop_map(
        |(head, plugins, tail, cr, bom)| {
            // `plugins` without a header is a root key, which no table header may stand before.
            let head = if plugins.starts_with("plugins") { "version = 2\n" } else { head };
            let text = format!("{}{head}{plugins}{tail}", if bom { "\u{feff}" } else { "" });
            if cr { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    #[test]
    fn taking_out_restores_every_byte(text in layouts()) {
        let (new, owned) = set(&text);
        let tree = Tree::parse(&new).unwrap();
        prop_assert_eq!(tree.get(&config_path_key(2)), Some(&Tree::Text(DIR.to_owned())));
        prop_assert_eq!(withdraw(&new, &owned), Some(text));
    }

    #[test]
    fn merging_its_own_result_is_identity(text in layouts()) {
        let (new, owned) = set(&text);
        let again = merge(Some(&new), Some(&owned), Some(DIR), V1_7).unwrap();
        prop_assert_eq!(again, Merged { text: Some(new), owned: Some(owned) });
    }

    #[test]
    fn edits_elsewhere_survive(text in layouts(), at in 0_usize..3) {
        let edit = |text: &str| match at {
            0 => text.replacen("version", "# a note\nversion", 1),
            1 => text.replace("sandbox_image = 'x'", "sandbox_image = 'y' # newer"),
            _ => text.replace("[timeouts]", "[ttrpc]\n  uid = 0\n[timeouts]"),
        };
        let (new, owned) = set(&text);
        prop_assert_eq!(withdraw(&edit(&new), &owned), Some(edit(&text)));
    }

    #[test]
    fn settings_appended_since_survive(text in layouts()) {
        let (new, owned) = set(&text);
        let theirs = "\n[proxy_plugins.x]\naddress = '/run/x'\n";
        let left = withdraw(&(new + theirs), &owned).unwrap();
        prop_assert_eq!(Tree::parse(&left).unwrap(), Tree::parse(&(text.clone() + theirs)).unwrap());
        prop_assert!(left.starts_with(text.trim_end()), "{}", left);
    }
}
