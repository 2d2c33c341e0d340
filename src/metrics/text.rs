//! Prometheus' text format, version 0.0.4.

use super::Family;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// One line: what distinguishes it, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: i64,
}

#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// A family without samples is said as well: an alert on it is then known to be spelt right.
    pub(super) fn family(&mut self, family: &Family, samples: &[Sample]) {
        self.line(&["# HELP ", family.name, " ", family.help]);
        self.line(&["# TYPE ", family.name, " ", family.kind.word()]);
        for sample in samples {
            self.0.push_str(family.name);
            self.labels(&sample.labels);
            self.line(&[" ", &sample.value.to_string()]);
        }
    }

    fn labels(&mut self, labels: &[(&'static str, String)]) {
        let mut before = '{';
        for (name, value) in labels {
            self.0.push(before);
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
    }

    /// Whoever names an owner must not be able to write lines of his own.
    fn escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
    }

    fn line(&mut self, parts: &[&str]) {
        self.0.extend(parts.iter().copied());
        self.0.push('\n');
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}
