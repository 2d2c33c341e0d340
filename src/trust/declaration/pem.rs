//! Certificates and keys, which a declaration either holds or refers to.

use std::borrow::Cow;

use super::Loaded;
use crate::content::Content;
use crate::path::NodePath;
use crate::trust::findings::{At, Findings, Place, Quoted, holds_pem};
use crate::trust::toml_reader::{Field, Fields};

/// What a file that a declaration refers to holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    Certificates,
    /// To be kept as [`Content::Secret`].
    Key,
}

/// The two keys under which the same thing is given.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) inline: &'static str,
    pub(super) file: &'static str,
    holds: Holds,
}

pub(super) const CA: Keys = Keys { inline: "ca", file: "ca_file", holds: Holds::Certificates };
pub(super) const CLIENT_CERT: Keys =
    Keys { inline: "client_cert", file: "client_cert_file", holds: Holds::Certificates };
pub(super) const CLIENT_KEY: Keys =
    Keys { inline: "client_key", file: "client_key_file", holds: Holds::Key };

#[derive(Debug)]
pub(super) struct PemField {
    /// As a message names the key that was used.
    pub(super) name: Cow<'static, str>,
    pub(super) place: Place,
    holds: Holds,
    pem: Field<Pem>,
}

#[derive(Debug)]
enum Pem {
    Inline(Content),
    File(NodePath),
}

impl PemField {
    pub(super) fn read(
        fields: &Fields<'_>,
        keys: &Keys,
        beside: &NodePath,
        findings: &mut Findings,
    ) -> Self {
        let (inline, file) = (fields.key(keys.inline), fields.key(keys.file));
        if inline.is_none() && file.is_none() {
            let (name, place) = (keys.file.into(), fields.place());
            return Self { name, place, holds: keys.holds, pem: Field::Absent };
        }
        let used = if inline.is_some() { keys.inline } else { keys.file };
        let name = fields.named(used);
        let pem = if let (Some(_), Some(second)) = (inline, file) {
            let message = format!("`{}` is given as well", fields.name(keys.inline));
            *findings.error(second, &fields.name(keys.file), message) =
                Some("remove one of the two".to_owned());
            Field::Bad
        } else if inline.is_some() {
            inline_pem(fields, keys, findings)
        } else {
            let reference = fields.string(keys.file, findings);
            reference.and_then(|at| file_pem(at, keys, beside, &name, findings))
        };
        let key = inline.or(file).unwrap_or(fields.place());
        let place = pem.given().map_or(key, |at| at.place);
        Self { name, place, holds: keys.holds, pem }
    }

    pub(super) fn is_given(&self) -> bool {
        !self.pem.is_absent()
    }

    pub(super) fn reference(&self) -> Option<(&NodePath, Holds)> {
        match self.pem.value()? {
            Pem::File(path) => Some((path, self.holds)),
            Pem::Inline(_) => None,
        }
    }

    /// The bytes; `None`, with a problem reported, if there are none.
    pub(super) fn content<'a>(
        &'a self,
        loaded: &'a Loaded,
        findings: &mut Findings,
    ) -> Option<&'a Content> {
        let path = match self.pem.value()? {
            Pem::Inline(content) => return Some(content),
            Pem::File(path) => path,
        };
        let reason = match loaded.get(path) {
            Some(Ok(content)) => return Some(content),
            Some(Err(reason)) => reason.as_str(),
            None => "it was not looked for",
        };
        findings.error(self.place, &self.name, format!("cannot read `{path}`: {reason}"));
        None
    }
}

fn inline_pem(fields: &Fields<'_>, keys: &Keys, findings: &mut Findings) -> Field<Pem> {
    let text = fields.string(keys.inline, findings);
    text.and_then(|At { value, place }| {
        if !value.contains("-----BEGIN") {
            let message = "holds no PEM text (it begins with `-----BEGIN …`)";
            *findings.error(place, &fields.name(keys.inline), message) =
                Some(format!("`{}` names a file", fields.name(keys.file)));
            return None;
        }
        let content = match keys.holds {
            Holds::Certificates => Content::plain(value),
            Holds::Key => Content::secret(value.as_bytes().to_vec()),
        };
        Some(At { value: Pem::Inline(content), place })
    })
}

fn file_pem(
    At { value, place }: At<&str>,
    keys: &Keys,
    beside: &NodePath,
    name: &str,
    findings: &mut Findings,
) -> Option<At<Pem>> {
    if holds_pem(value) {
        *findings.error(place, name, "holds PEM text, not the name of a file") =
            Some(format!("`{}` takes PEM text", name.replace(keys.file, keys.inline)));
        return None;
    }
    match resolve(value, beside) {
        Ok(path) => Some(At { value: Pem::File(path), place }),
        Err(reason) => {
            findings.error(place, name, format!("{} {reason}", Quoted(value)));
            None
        }
    }
}

/// The file that `reference` names in a file that lies at `beside`.
///
/// `..` goes back over names, not over links, so it means the same wherever the tree is mounted,
/// and one that would leave the root is refused here and not clamped.
fn resolve(reference: &str, beside: &NodePath) -> Result<NodePath, &'static str> {
    let (directory, _) = beside.split();
    let is_relative = !reference.starts_with('/') && !directory.is_empty();
    let mut parts: Vec<&str> = if is_relative { vec![directory] } else { Vec::new() };
    if reference.trim().is_empty() {
        return Err("names no file");
    }
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                let last = parts.pop().ok_or("leads out of the root")?;
                parts.extend(last.rsplit_once('/').map(|(above, _)| above));
            }
            name => parts.push(name),
        }
    }
    NodePath::new(&parts.join("/")).map_err(|_| "is no path of a file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_path;

    #[test]
    fn a_reference_stays_beneath_the_root() {
        let file = node_path!("etc/regtrust/registries.d/x.toml");
        for (reference, path) in [
            ("ca.pem", Ok("/etc/regtrust/registries.d/ca.pem")),
            ("./a//b.pem", Ok("/etc/regtrust/registries.d/a/b.pem")),
            ("../certs/ca.pem", Ok("/etc/regtrust/certs/ca.pem")),
            ("/etc/ssl/ca.pem", Ok("/etc/ssl/ca.pem")),
            ("/../etc/shadow", Err("leads out of the root")),
            ("../../../../etc/shadow", Err("leads out of the root")),
            ("", Err("names no file")),
            ("  ", Err("names no file")),
            ("/", Err("is no path of a file")),
            ("a\0b", Err("is no path of a file")),
        ] {
            let resolved = resolve(reference, &file).map(|path| path.to_string());
            assert_eq!(resolved, path.map(str::to_owned), "{reference}");
        }
    }
}
