//! A sequence of changes that follows from a seed: registries that come, change and go, and other
//! declarations for those that stay trusted.

use crate::chance::Chance;
use crate::lab::{Authority, Declaration, Node};

use super::estate::Steady;

/// As many registries come and go.
const PASSING: usize = 12;

/// One declaration file more, another one, or one less.
#[derive(Clone, Debug)]
pub(super) struct Change {
    file: String,
    /// `None`: the declaration goes.
    declaration: Option<Declaration>,
    /// For people.
    pub(super) words: String,
}

impl Change {
    pub(super) fn declare(&self, node: &Node) {
        match &self.declaration {
            Some(declaration) => node.declare(&self.file, declaration),
            None => node.withdraw(&self.file),
        }
    }
}

type Form = fn(&str, &Authority) -> Declaration;

/// The declarations that nobody needs, in all their forms.
struct Passing {
    forms: Vec<(&'static str, Form)>,
    authorities: [Authority; 2],
    /// Whether each is declared.
    declared: [bool; PASSING],
}

impl Passing {
    fn new() -> Self {
        Self {
            forms: vec![
                ("ca", |host, authority| Declaration::ca(host, &authority.root)),
                ("client", |host, authority| {
                    Declaration::ca(host, &authority.root).client(&authority.client("passing"))
                }),
                ("http", |host, _| Declaration::of(host, "http")),
                ("insecure", |host, _| Declaration::of(host, "insecure")),
                ("skip-verify", |host, _| Declaration::of(host, "skip-verify").only("containerd")),
                ("mirror", |host, authority| {
                    let ca = &authority.root;
                    Declaration::ca(host, ca).line(&format!(
                        "[[registry.mirror]]\nurl = \"https://mirror.corp\"\n\
                         trust = \"ca\"\nca = '''{ca}'''"
                    ))
                }),
            ],
            authorities: ["passing", "passing too"].map(Authority::new),
            declared: [false; PASSING],
        }
    }

    fn next(&mut self, chance: &mut Chance) -> Change {
        let number = chance.below(PASSING);
        let file = format!("passing-{number}");
        let was_declared = std::mem::replace(&mut self.declared[number], true);
        if was_declared && chance.below(2) == 0 {
            self.declared[number] = false;
            return Change { words: format!("{file} goes"), file, declaration: None };
        }
        let host = format!("{file}.corp:{}", 5000 + number);
        let (name, form) = self.forms[chance.below(self.forms.len())];
        let declaration = form(&host, &self.authorities[chance.below(2)]);
        let verb = if was_declared { "changes to" } else { "comes with" };
        Change { words: format!("{file} {verb} {name}"), file, declaration: Some(declaration) }
    }
}

/// Changes without end.
pub(super) fn from<'s>(
    mut chance: Chance,
    steady: &'s [Steady<'_>],
) -> impl Iterator<Item = Change> + use<'s> {
    let mut passing = Passing::new();
    // The first is what every one of them was declared with.
    let mut current = vec![0; steady.len()];
    std::iter::from_fn(move || {
        // Of the two, what is trusted throughout is in the greater danger.
        if chance.below(5) < 2 {
            return Some(passing.next(&mut chance));
        }
        let which = chance.below(steady.len());
        let Steady { name, variants, .. } = &steady[which];
        let step = 1 + chance.below(variants.len() - 1);
        current[which] = (current[which] + step) % variants.len();
        let variant = current[which];
        Some(Change {
            file: (*name).to_owned(),
            declaration: Some(variants[variant].clone()),
            words: format!("{name} takes its declaration {variant}"),
        })
    })
}
