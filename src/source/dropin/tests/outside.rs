//! A container that has the node mounted: its own directories are not the node's.

use super::*;

fn read_both(node: &Tree, container: &Tree, directory: &str) -> DesiredState {
    let path = NodePath::new(directory).unwrap();
    let outside = Some(Arc::new(container.root()));
    read_declarations(&node.root(), &[Directory { path, outside }], now())
}

#[test]
fn a_directory_of_the_container_is_read_in_the_container() {
    let (node, container) = (Tree::new(), Tree::new());
    node.write("config/a.toml", system("node.corp"));
    container.write("config/a.toml", system("container.corp"));
    let state = read_both(&node, &container, "config");
    assert_eq!(origins(&state), ["container.corp container:/config/a.toml:1"]);
    assert_eq!(messages(&state), [""; 0]);
}

#[test]
fn what_a_file_refers_to_lies_beside_it() {
    let (node, container) = (Tree::new(), Tree::new());
    let with_ca = |host: &str| {
        format!("[[registry]]\nhost = \"{host}\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n")
    };
    node.write(&format!("{ETC}/a.toml"), with_ca("node.corp"));
    node.write(&format!("{ETC}/ca.pem"), CA);
    container.write(&format!("{ETC}/b.toml"), with_ca("container.corp"));
    container.write(&format!("{ETC}/ca.pem"), OTHER_CA);
    let state = read_both(&node, &container, ETC);
    let subject = |host: &str| {
        let entry = &state.entries[&host.parse::<RegistryHost>().unwrap()];
        entry.trust.ca().unwrap().certificates()[0].fingerprint
    };
    assert_ne!(subject("node.corp"), subject("container.corp"));
}

/// A DaemonSet that mounts its ConfigMap where the node has its own files.
#[test]
fn one_path_in_both_trees_is_two_files() {
    let (node, container) = (Tree::new(), Tree::new());
    let file = format!("{ETC}/a.toml");
    node.write(&file, system("node.corp"));
    container.write(&file, system("container.corp"));
    let right = read_both(&node, &container, ETC);
    let origin = |host: &str| right.entries[&host.parse::<RegistryHost>().unwrap()].clone();
    let (on_node, in_container) = (origin("node.corp"), origin("container.corp"));

    container.write(&file, "[[");
    let state = read_both(&node, &container, ETC);
    assert_eq!(state.keeps(&on_node, now()), None, "the node's own file can be read");
    let file = format!("container:/{ETC}/a.toml");
    assert_eq!(state.keeps(&in_container, now()), Some(Keep::Broken(&file)));
    assert!(messages(&state)[0].starts_with(&format!("{file}:1:")), "{:?}", messages(&state));
}

#[test]
fn what_is_wrong_in_the_container_says_where() {
    let (node, container) = (Tree::new(), Tree::new());
    container.write("config/bad.toml", "[[registry]]\nhost = \"a.corp\"\ntrust = \"no\"\n");
    container.write("config/open.toml", system("b.corp"));
    container.mode("config/open.toml", 0o666);
    let state = read_both(&node, &container, "config");
    let files: Vec<_> = state.problems.iter().map(|one| one.location.file.as_str()).collect();
    assert_eq!(files, ["container:/config/bad.toml", "container:/config/open.toml"]);
    assert_eq!(state.unusable.into_values().next().unwrap().origin.file, files[0].into());

    let missing = read_both(&node, &container, "gone");
    assert_eq!(missing.broken_files, ["container:/gone".to_owned()].into());
}

#[test]
fn a_swapped_config_map_in_the_container_is_read_whole() {
    let (node, container) = (Tree::new(), Tree::new());
    container.write("config/..1/a.toml", system("a.corp"));
    container.link("config/..data", "..1");
    container.link("config/a.toml", "..data/a.toml");
    let state = read_both(&node, &container, "config");
    assert_eq!(origins(&state), ["a.corp container:/config/a.toml:1"]);
}
