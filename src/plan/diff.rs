//! A plan's edits as the unified diff that an operator reads. Pure.

use std::borrow::Cow;

use imara_diff::{Algorithm, Diff, InternedInput, UnifiedDiffConfig};

use super::change::{Changes, FileEdit};
use super::hunks::Hunks;
use crate::content::Content;
use crate::trust::certificate;

/// Lines of context around a change.
const CONTEXT: u32 = 3;

/// The part a line of a diff plays, for whoever colours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Header,
    Hunk,
    Added,
    Removed,
    Context,
}

/// One printable line, without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub role: Role,
    pub text: String,
}

impl Line {
    fn new(role: Role, text: impl AsRef<str>) -> Self {
        Self { role, text: printable(text.as_ref()) }
    }
}

/// Directories and files, in the order they are written.
pub fn lines(changes: &Changes) -> Vec<Line> {
    let made = changes.make_directories.iter().map(|path| format!("+++ {path}/ (new directory)"));
    let gone = changes.remove_directories.iter().map(|path| format!("--- {path}/ (removed)"));
    let mut lines: Vec<_> = made.map(|text| Line::new(Role::Header, text)).collect();
    lines.extend(changes.edits().flat_map(file));
    lines.extend(gone.map(|text| Line::new(Role::Header, text)));
    lines
}

/// One file.
pub fn file(edit: &FileEdit) -> Vec<Line> {
    let mut lines = vec![
        Line::new(Role::Header, format!("--- {}", side(edit, edit.before.as_ref()))),
        Line::new(Role::Header, format!("+++ {}{}", side(edit, edit.after.as_ref()), mode(edit))),
    ];
    if let Some(summaries) = summarised(edit) {
        lines.extend(summaries);
    } else {
        lines.extend(text_diff(&text(edit.before.as_ref()), &text(edit.after.as_ref())));
    }
    lines
}

fn side(edit: &FileEdit, content: Option<&Content>) -> String {
    content.map_or_else(|| "/dev/null".to_owned(), |_| edit.path.to_string())
}

fn mode(edit: &FileEdit) -> String {
    match (&edit.before, &edit.after, edit.mode) {
        (None, Some(_), Some(mode)) => format!(" (new, mode {mode:04o})"),
        (Some(before), Some(after), Some(mode)) if before.bytes() == after.bytes() => {
            format!(" (mode back to {mode:04o})")
        }
        _ => String::new(),
    }
}

fn text(content: Option<&Content>) -> String {
    content.map_or_else(String::new, |c| String::from_utf8_lossy(c.bytes()).into_owned())
}

/// Keys are never shown, and a page of base64 tells nobody which certificate it is.
fn summarised(edit: &FileEdit) -> Option<Vec<Line>> {
    // The names are ours, or those that docker knows: both in lower case.
    let extension = edit.path.file_name().rsplit_once('.').map(|(_, extension)| extension);
    let is_certificate = matches!(extension, Some("crt" | "cert" | "pem"));
    let is_secret = edit.before.iter().chain(&edit.after).any(Content::is_secret);
    if !is_certificate && !is_secret {
        return None;
    }
    let removed = edit.before.iter().flat_map(summary).map(|s| Line::new(Role::Removed, s));
    let added = edit.after.iter().flat_map(summary).map(|s| Line::new(Role::Added, s));
    let prefixed = |mut line: Line| {
        line.text.insert(0, if line.role == Role::Added { '+' } else { '-' });
        line
    };
    Some(removed.chain(added).map(prefixed).collect())
}

fn summary(content: &Content) -> Vec<String> {
    if content.is_secret() {
        return vec!["(private key, not shown)".to_owned()];
    }
    certificate::describe(content.bytes())
        .unwrap_or_else(|| vec![format!("({} bytes)", content.bytes().len())])
}

fn text_diff(before: &str, after: &str) -> Vec<Line> {
    let input = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_lines(&input);
    let mut context = UnifiedDiffConfig::default();
    context.context_len(CONTEXT);
    let hunks = Hunks(&input.interner);
    let unified = diff.unified_diff(&hunks, context, &input).to_string();
    let role = |line: &str| match line.as_bytes().first() {
        Some(b'+') => Role::Added,
        Some(b'-') => Role::Removed,
        Some(b'@') => Role::Hunk,
        _ => Role::Context,
    };
    unified.lines().map(|line| Line::new(role(line), redacted(line))).collect()
}

/// Neighbouring lines of a shared file may hold somebody's proxy password or registry token.
fn redacted(line: &str) -> Cow<'_, str> {
    let line = without_userinfo(line);
    let lower = line.to_ascii_lowercase();
    let is_secret = ["password", "passwd", "token", "secret", "auth"]
        .iter()
        .any(|word| lower.find(word).is_some_and(|at| lower.get(at..).is_some_and(has_value)));
    match line.find(['=', ':']) {
        Some(at) if is_secret => {
            let kept = line.get(..=at).unwrap_or_default();
            Cow::Owned(format!("{kept} (hidden)"))
        }
        _ => line,
    }
}

fn has_value(rest: &str) -> bool {
    rest.contains(['=', ':'])
}

fn without_userinfo(line: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        let authority_end = after.find(['/', '"', '\'', ' ', ',']).unwrap_or(after.len());
        let (authority, tail) = after.split_at(authority_end);
        let host = authority.rsplit_once('@').map(|(_userinfo, host)| host);
        kept.push_str(before);
        kept.push_str("://");
        if let Some(host) = host {
            kept.push_str("(hidden)@");
            kept.push_str(host);
        } else {
            kept.push_str(authority);
        }
        rest = tail;
    }
    if kept.is_empty() {
        return Cow::Borrowed(line);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// A terminal must not obey a file. Carriage returns are dropped, for the diff of a CRLF file is
/// about its words.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars().filter(|c| *c != '\r') {
        if c.is_control() && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_path;
    use crate::target::Target;

    fn shown(before: &str, after: &str) -> String {
        let edit = FileEdit {
            target: Some(Target::DockerDaemon),
            path: node_path!("etc/docker/daemon.json"),
            before: Some(Content::plain(before)),
            after: Some(Content::plain(after)),
            mode: None,
        };
        file(&edit).into_iter().map(|line| line.text + "\n").collect()
    }

    #[test]
    fn neighbouring_secrets_are_hidden() {
        let before = r#"{
  "proxies": { "http-proxy": "http://ann:hunter2@proxy:3128" },
  "registry-token": "hunter2",
  "debug": true
}
"#;
        let after = before.replace("true", "false");
        let diff = shown(before, &after);
        assert!(!diff.contains("hunter2"), "{diff}");
        assert!(diff.contains("http://(hidden)@proxy:3128"), "{diff}");
        assert!(diff.contains("-  \"debug\": true\n+  \"debug\": false\n"), "{diff}");
    }

    #[test]
    fn a_private_key_is_not_shown() {
        let edit = FileEdit {
            target: Some(Target::DockerCerts),
            path: node_path!("etc/docker/certs.d/a.corp/client.key"),
            before: None,
            after: Some(Content::secret(b"hunter2".to_vec())),
            mode: Some(0o600),
        };
        let text: Vec<_> = file(&edit).into_iter().map(|line| line.text).collect();
        assert_eq!(
            text,
            [
                "--- /dev/null",
                "+++ /etc/docker/certs.d/a.corp/client.key (new, mode 0600)",
                "+(private key, not shown)"
            ]
        );
    }

    #[test]
    fn a_file_cannot_speak_to_the_terminal() {
        assert!(!shown("a\n", "\u{1b}[2Jb\n").contains('\u{1b}'));
    }
}
