//! Files of assignments: systemd's `EnvironmentFile=`, and those that a shell sources. Pure.
//!
//! They look the same and are read differently: in `DOCKER_OPTS="$DOCKER_OPTS --debug"` systemd
//! sees no variable, and `OPTS=a b` is one value to it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// The last assignment of each name.
pub type Variables = BTreeMap<String, String>;

/// Reads a file as systemd reads an `EnvironmentFile=`.
pub fn from_systemd(text: &str) -> Variables {
    read(text, false)
}

/// Reads a file as a shell would that sources it, as far as it consists of plain assignments.
/// Variables that the file itself has set are expanded; anything else that a shell would compute
/// stays as it is written.
pub fn from_shell(text: &str) -> Variables {
    read(text, true)
}

/// Whether systemd and shells accept `name` as that of a variable.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    bytes.next().is_some_and(letter) && bytes.all(|b| letter(b) || b.is_ascii_digit())
}

fn read(text: &str, shell: bool) -> Variables {
    let mut reader = Reader { rest: text.chars().peekable(), shell, variables: Variables::new() };
    while let Some(&c) = reader.rest.peek() {
        match c {
            c if c.is_ascii_whitespace() => drop(reader.rest.next()),
            '#' | ';' => reader.skip_line(),
            _ => reader.assignment(),
        }
    }
    reader.variables
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    shell: bool,
    variables: Variables,
}

impl Reader<'_> {
    fn skip_line(&mut self) {
        for c in self.rest.by_ref() {
            if c == '\n' {
                break;
            }
        }
    }

    fn assignment(&mut self) {
        let mut key = String::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '=' | '\n')) {
            key.push(c);
        }
        if self.rest.next() != Some('=') {
            return;
        }
        let value = if self.shell { self.shell_value() } else { self.systemd_value() };
        let key = key.trim_end();
        let key = if self.shell { key.strip_prefix("export ").unwrap_or(key).trim() } else { key };
        if is_name(key) {
            self.variables.insert(key.to_owned(), value);
        }
    }

    /// A quote counts only where nothing but quotes went before; then the line is literal, and
    /// blanks at its end are not part of it.
    fn systemd_value(&mut self) -> String {
        let mut value = String::new();
        let mut plain = false;
        let mut keep = 0;
        while let Some(c) = self.rest.next().filter(|&c| c != '\n') {
            match c {
                '\'' if !plain => self.single_quoted(&mut value),
                '"' if !plain => self.double_quoted(&mut value),
                '\\' => {
                    plain = true;
                    value.extend(self.rest.next().filter(|&c| c != '\n'));
                }
                c if c.is_ascii_whitespace() => {
                    if plain {
                        value.push(c);
                    }
                    continue;
                }
                c => {
                    plain = true;
                    value.push(c);
                }
            }
            keep = value.len();
        }
        value.truncate(keep);
        value
    }

    /// Ends at the first blank outside quotes; what follows is a comment, or another command.
    fn shell_value(&mut self) -> String {
        let mut value = String::new();
        while let Some(c) = self.rest.next().filter(|&c| c != '\n') {
            match c {
                '\'' => self.single_quoted(&mut value),
                '"' => self.double_quoted(&mut value),
                '\\' => value.extend(self.rest.next().filter(|&c| c != '\n')),
                '$' => self.expand(&mut value),
                ';' => break,
                c if c.is_ascii_whitespace() => {
                    self.skip_line();
                    break;
                }
                c => value.push(c),
            }
        }
        value
    }

    fn single_quoted(&mut self, value: &mut String) {
        value.extend(self.rest.by_ref().take_while(|&c| c != '\''));
    }

    fn double_quoted(&mut self, value: &mut String) {
        while let Some(c) = self.rest.next().filter(|&c| c != '"') {
            match c {
                '\\' => match self.rest.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                },
                '$' if self.shell => self.expand(value),
                c => value.push(c),
            }
        }
    }

    /// `$NAME` or `${NAME}`, where the file has set it before.
    fn expand(&mut self, value: &mut String) {
        let mut ahead = self.rest.clone();
        let braced = ahead.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(c) = ahead.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        let closed = !braced || ahead.next_if_eq(&'}').is_some();
        if closed && is_name(&name) {
            self.rest = ahead;
            value.push_str(self.variables.get(&name).map(String::as_str).unwrap_or_default());
        } else {
            value.push('$');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables<const N: usize>(all: [(&str, &str); N]) -> Variables {
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Debian's, with the line that people uncomment.
    const DEBIAN: &str = r#"# Docker Upstart and SysVinit configuration file

#
# THIS FILE DOES NOT APPLY TO SYSTEMD
#

# Customize location of Docker binary (especially for development testing).
#DOCKERD="/usr/local/bin/dockerd"

# Use DOCKER_OPTS to modify the daemon startup options.
DOCKER_OPTS="--dns 8.8.8.8 --insecure-registry=harbor.corp"

# If you need Docker to use an HTTP proxy, it can also be specified here.
#export http_proxy="http://127.0.0.1:3128/"
"#;

    /// RHEL 7's.
    const REDHAT: &str = "\
# /etc/sysconfig/docker
OPTIONS='--selinux-enabled --log-driver=journald --signature-verification=false'
if [ -z \"${DOCKER_CERT_PATH}\" ]; then
    DOCKER_CERT_PATH=/etc/docker
fi
";

    #[test]
    fn files_as_distributions_ship_them_mean_the_same_to_both() {
        for read in [from_systemd, from_shell] {
            assert_eq!(
                read(DEBIAN),
                variables([("DOCKER_OPTS", "--dns 8.8.8.8 --insecure-registry=harbor.corp")]),
            );
            let options = "--selinux-enabled --log-driver=journald --signature-verification=false";
            let expected = [("OPTIONS", options), ("DOCKER_CERT_PATH", "/etc/docker")];
            assert_eq!(read(REDHAT), variables(expected));
        }
    }

    #[test]
    fn systemd_and_a_shell_differ_where_they_do() {
        for (text, systemd, shell) in [
            ("A=x y  # z  \n", "x y  # z", "x"),
            ("A=\"x\"'y' z", "xyz", "xy"),
            ("A=x'y z'", "x'y z'", "xy z"),
            ("A=a\nA=\"$A ${A} $B\"", "$A ${A} $B", "a a "),
            ("A=a\nA='$A'", "$A", "$A"),
            ("A=\"$(id) ${B:-c} $\"", "$(id) ${B:-c} $", "$(id) ${B:-c} $"),
            ("A=\"x\\\n y\\\"\\n\"", "x y\"\\n", "x y\"\\n"),
            ("A=x\\\ny\\ z", "xy z", "xy z"),
            ("A=  x ", "x", ""),
            ("A=x;B=y", "x;B=y", "x"),
            ("A=one\nA=two", "two", "two"),
            ("A=\"not\nended", "not\nended", "not\nended"),
            ("  A =x", "x", "x"),
            ("A=", "", ""),
        ] {
            let a = |variables: Variables| variables.get("A").cloned().unwrap_or_default();
            assert_eq!(a(from_systemd(text)), systemd, "systemd: {text}");
            assert_eq!(a(from_shell(text)), shell, "shell: {text}");
        }
    }

    #[test]
    fn only_a_shell_knows_export() {
        let text = "export A=x\n;B=y\nnot an assignment\n1C=z\n";
        assert_eq!(from_shell(text), variables([("A", "x")]));
        assert_eq!(from_systemd(text), variables([]));
    }
}
