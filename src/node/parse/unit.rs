//! What systemd would run for a service, from its unit file and drop-ins. Pure.

use std::collections::BTreeMap;

use super::environment;
use super::words::{self, Escapes};

#[cfg(test)]
mod tests;

/// A file and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// As it is shown to people: `/etc/default/docker`.
    pub source: String,
    pub text: String,
}

/// A word of a command line, with the file that put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentFile {
    pub path: String,
    /// With `-`: it need not be there. Without, a missing one keeps the service from starting.
    pub optional: bool,
}

/// The settings of a `[Service]` that decide on its command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    commands: Vec<Word>,
    environment: BTreeMap<String, Word>,
    /// In the order in which [`Service::load`] must be given them.
    pub environment_files: Vec<EnvironmentFile>,
}

impl Service {
    /// Reads a unit file and its drop-ins, in the order in which they count.
    pub fn read(fragments: &[Fragment]) -> Self {
        let mut service = Self::default();
        for fragment in fragments {
            let mut in_service = false;
            for line in logical_lines(&fragment.text) {
                if line.starts_with('[') {
                    in_service = line.trim_end() == "[Service]";
                } else if let (true, Some((key, value))) = (in_service, line.split_once('=')) {
                    service.set(key.trim(), value.trim(), &fragment.source);
                }
            }
        }
        service
    }

    fn set(&mut self, key: &str, value: &str, source: &str) {
        match (key, value) {
            ("ExecStart", "") => self.commands.clear(),
            ("Environment", "") => self.environment.clear(),
            ("EnvironmentFile", "") => self.environment_files.clear(),
            ("ExecStart", line) => {
                self.commands.push(Word { text: line.to_owned(), source: source.to_owned() });
            }
            ("Environment", assignments) => {
                let assignments = words::split(assignments, Escapes::C).unwrap_or_default();
                let pairs = assignments.iter().filter_map(|word| word.split_once('='));
                pairs.for_each(|(name, value)| self.assign(name, &percent(value), source));
            }
            ("EnvironmentFile", path) => {
                let bare = path.strip_prefix('-');
                self.environment_files.push(EnvironmentFile {
                    path: percent(bare.unwrap_or(path)),
                    optional: bare.is_some(),
                });
            }
            _ => {}
        }
    }

    fn assign(&mut self, name: &str, value: &str, source: &str) {
        if environment::is_name(name) {
            let value = Word { text: value.to_owned(), source: source.to_owned() };
            self.environment.insert(name.to_owned(), value);
        }
    }

    /// Takes in one of [`Service::environment_files`]. It overrides `Environment=` wherever that
    /// stands, and the files before it.
    pub fn load(&mut self, file: &Fragment) {
        for (name, value) in environment::from_systemd(&file.text) {
            self.assign(&name, &value, &file.source);
        }
    }

    /// The program and its arguments. `None`: nothing is run.
    ///
    /// Of several `ExecStart=` the last one counts; systemd refuses them for such a service, so it
    /// does not run until somebody removes the others.
    pub fn command(&self) -> Option<Vec<Word>> {
        let line = self.commands.last()?;
        let mut words = words::split(&line.text, Escapes::C)?.into_iter();
        let first = words.next()?;
        let program = first.trim_start_matches(['@', '-', ':', '+', '!', '|']);
        let prefix = first.get(..first.len() - program.len()).unwrap_or_default();
        if prefix.contains('@') {
            words.next();
        }
        let as_is = |text: String| Word { text, source: line.source.clone() };
        let arguments = words.take_while(|word| word != ";").map(|word| as_is(percent(&word)));
        let mut command = vec![as_is(percent(program))];
        if prefix.contains(':') {
            command.extend(arguments);
        } else {
            command.extend(arguments.flat_map(|word| self.expand(&word)));
        }
        Some(self.script(&command).unwrap_or(command))
    }

    /// `$NAME` that stands alone becomes the words of its value, or nothing; `${NAME}` is replaced
    /// within the word; `$NAME` within a word means itself.
    fn expand(&self, word: &Word) -> Vec<Word> {
        match word.text.strip_prefix('$') {
            Some(name) if !name.starts_with(['{', '$']) => {
                let Some(value) = self.environment.get(name) else { return Vec::new() };
                let words = words::split(&value.text, Escapes::Plain)
                    .unwrap_or_else(|| value.text.split_whitespace().map(str::to_owned).collect());
                let with_source = |text| Word { text, source: value.source.clone() };
                words.into_iter().map(with_source).collect()
            }
            _ => vec![self.replace(word)],
        }
    }

    fn replace(&self, word: &Word) -> Word {
        let mut replaced = Word { text: String::new(), source: word.source.clone() };
        let mut rest = word.text.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            replaced.text.push_str(before);
            rest = after;
            if let Some(after) = after.strip_prefix('$') {
                replaced.text.push('$');
                rest = after;
            } else if let Some((name, after)) = variable(after) {
                if let Some(value) = self.environment.get(name) {
                    // What begins with the value was put there by whoever set it.
                    if replaced.text.is_empty() {
                        replaced.source.clone_from(&value.source);
                    }
                    replaced.text.push_str(&value.text);
                }
                rest = after;
            } else {
                replaced.text.push('$');
            }
        }
        replaced.text.push_str(rest);
        replaced
    }

    /// `sh -c 'exec dockerd $DOCKER_OPTS'`: the words of the script, where it is that simple.
    fn script(&self, command: &[Word]) -> Option<Vec<Word>> {
        let program = command.first()?.text.rsplit('/').next()?;
        if !matches!(program, "sh" | "bash" | "dash" | "ash") {
            return None;
        }
        let option = |word: &Word| word.text.starts_with('-') && word.text.ends_with('c');
        let script = command.get(command.iter().position(option)? + 1)?;
        let words = shlex::split(&script.text)?;
        let word = |text| Word { text, source: script.source.clone() };
        Some(words.into_iter().flat_map(|text| self.expand(&word(text))).collect())
    }
}

/// `{NAME}` and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    environment::is_name(name).then_some((name, after))
}

/// Of the specifiers only the escaped percent sign can be known from the files alone. The others
/// stay as they are.
fn percent(text: &str) -> String {
    text.replace("%%", "%")
}

/// Lines without comments, those that end in a backslash joined with what follows. A comment between
/// them is skipped and does not end the line.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let line = match open.take() {
            Some(before) => before + line,
            None => line.trim_start().to_owned(),
        };
        let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
        match line.strip_suffix('\\') {
            Some(start) if backslashes % 2 == 1 => open = Some(format!("{start} ")),
            _ => lines.push(line),
        }
    }
    lines.extend(open);
    lines
}
