//! dockerd's flags out of a command line. Pure.

use super::unit::Word;
use crate::observed::Flag;

/// The flags in the words that follow dockerd's name.
///
/// A flag without `=` takes the next word as its value unless that begins with a dash. dockerd takes
/// no arguments, so such a word can only be a value, and which flags are boolean need not be known:
/// a list of them would be wrong for the next version, and would then swallow a flag.
pub fn flags(words: &[Word]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut rest = arguments(words).iter().peekable();
    while let Some(word) = rest.next() {
        let mut push = |name: &str, value: Option<&str>| {
            let value = value
                .map(str::to_owned)
                .or_else(|| Some(rest.next_if(|next| !next.text.starts_with('-'))?.text.clone()));
            flags.push(Flag {
                name: name.to_owned(),
                value: value.unwrap_or_default(),
                source: word.source.clone(),
            });
        };
        match word.text.strip_prefix("--") {
            Some("") => break,
            Some(long) => match long.split_once('=') {
                Some((name, value)) => push(name, Some(value)),
                None => push(long, None),
            },
            None => short(&word.text, push),
        }
    }
    flags
}

/// `-H fd://`, `-H=fd://`, `-Hfd://`, `-DH fd://`.
fn short(word: &str, mut push: impl FnMut(&str, Option<&str>)) {
    let mut rest = word.strip_prefix('-').unwrap_or_default().chars();
    while let Some(letter) = rest.next() {
        let name = match letter {
            'D' => "debug",
            'h' => "help",
            'v' => "version",
            'H' => "host",
            'l' => "log-level",
            'G' => "group",
            'b' => "bridge",
            'g' => "graph",
            's' => "storage-driver",
            'p' => "pidfile",
            other => return push(&other.to_string(), None),
        };
        let value = rest.as_str();
        if !matches!(letter, 'D' | 'h' | 'v') {
            let value = (!value.is_empty()).then(|| value.strip_prefix('=').unwrap_or(value));
            return push(name, value);
        }
        match value.strip_prefix('=') {
            Some(value) => return push(name, Some(value)),
            None => push(name, Some("")),
        }
    }
}

/// What follows dockerd itself, which may be started by a wrapper (`nice`, `env`).
fn arguments(words: &[Word]) -> &[Word] {
    let program = |word: &Word| {
        let name = word.text.rsplit_once('/').map_or(&*word.text, |(_, name)| name);
        // RHEL 7 has dockerd-current; before 1.12 it was `docker daemon`.
        name == "docker" || name == "dockerd" || name.starts_with("dockerd-")
    };
    let start = words.iter().position(program).map_or(0, |at| at + 1);
    words.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Word> {
        let word = |text: &str| Word { text: text.to_owned(), source: "/f".to_owned() };
        line.split(' ').map(word).collect()
    }

    fn read(line: &str) -> Vec<(String, String)> {
        flags(&words(line)).into_iter().map(|flag| (flag.name, flag.value)).collect()
    }

    #[test]
    fn flags_are_read_in_all_their_forms() {
        for (line, expected) in [
            ("/usr/bin/dockerd", vec![]),
            ("dockerd -H fd:// --icc=false", vec![("host", "fd://"), ("icc", "false")]),
            ("dockerd -H=fd:// -Hunix:///x", vec![("host", "fd://"), ("host", "unix:///x")]),
            (
                "dockerd -DH fd:// -D=false",
                vec![("debug", ""), ("host", "fd://"), ("debug", "false")],
            ),
            ("dockerd --debug --dns 8.8.8.8", vec![("debug", ""), ("dns", "8.8.8.8")]),
            (
                "dockerd --live-restore --insecure-registry 10.0.0.0/8",
                vec![("live-restore", ""), ("insecure-registry", "10.0.0.0/8")],
            ),
            (
                "dockerd --insecure-registry=a --insecure-registry b:5000",
                vec![("insecure-registry", "a"), ("insecure-registry", "b:5000")],
            ),
            ("dockerd --label=a=b --x=", vec![("label", "a=b"), ("x", "")]),
            ("dockerd -l debug -- --icc", vec![("log-level", "debug")]),
            ("/usr/bin/docker daemon -g /data", vec![("graph", "/data")]),
            ("nice -n 5 /usr/bin/dockerd-current --debug", vec![("debug", "")]),
            ("/opt/start --debug", vec![("debug", "")]),
            ("dockerd - --debug", vec![("debug", "")]),
            ("dockerd -Z x", vec![("Z", "x")]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_flag_says_which_file_sets_it() {
        let word = |text: &str, source: &str| Word { text: text.into(), source: source.into() };
        let words = [word("dockerd", "/unit"), word("--dns", "/default"), word("x", "/default")];
        let flag = Flag { name: "dns".into(), value: "x".into(), source: "/default".into() };
        assert_eq!(flags(&words), [flag]);
    }
}
