//! Asking the runtimes whether they trust what should be trusted, a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::queue::Queue;
use super::run::Agent;
use crate::blocking::joined;
use crate::plan::ItemState;
use crate::reconcile::Survey;
use crate::status::{NodeStatus, State};
use crate::target::{Believer, Item};
use crate::trust::entry::{Entry, Runtime, Trust};
use crate::trust::host::RegistryHost;
use crate::verify::{Proof, Verdict};

mod queue;

/// Asking is a connection to a registry; many at once would look like an attack to it.
const AT_ONCE: usize = 4;

/// Of those that a runtime trusted before its restart so many are asked about again. What it loses by
/// a restart it loses for all of a kind; and a fleet that asked for thousands would be an attack, too.
const AFTER_RESTART: usize = 16;

type Entries = BTreeMap<RegistryHost, Arc<Entry>>;

#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// What was wanted by the last run. `None`: there was none, and what is in place by then has been
    /// asked about by whoever put it there.
    entries: Option<Entries>,
    /// With the number of the question: an earlier one may be answered later.
    known: BTreeMap<Item, (u64, Proof)>,
    /// Changed, and to be asked about once they are in force.
    changed: BTreeSet<Item>,
    queue: Queue,
    /// Questions are numbered as they begin.
    next: u64,
    running: JoinSet<(u64, Proof)>,
    at_work: BTreeMap<u64, Question>,
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Question {
    item: Item,
    /// What it is about has changed since, so the answer is about something else: a question may take
    /// ten seconds, and a caller who waits for the proof of what he has changed must not get it.
    is_void: bool,
}

/// Somebody who wants to know how it is now, so that only what is asked after him counts.
#[derive(Debug)]
struct Asked {
    from: u64,
    open: BTreeSet<Item>,
    reply: oneshot::Sender<Arc<NodeStatus>>,
}

impl Proofs {
    /// Takes note of what changes with a run, and forgets what is gone.
    pub(super) fn note(&mut self, survey: &Survey) {
        let items = &survey.plan.items;
        let hosts = self.other_hosts(&survey.effective.entries);
        let is_changed =
            |item: &Item| survey.plan.pending.contains(item) || hosts.contains(&item.host);
        self.known.retain(|item, _| items.contains_key(item) && !is_changed(item));
        self.queue.retain(|item| items.contains_key(item));
        self.asked.iter_mut().for_each(|asked| asked.open.retain(|item| items.contains_key(item)));
        for question in self.at_work.values_mut() {
            let item = &question.item;
            question.is_void |= !items.contains_key(item) || is_changed(item);
        }
        self.changed.extend(items.keys().filter(|item| is_changed(item)).cloned());
        self.changed.retain(|item| {
            item.on != Believer::System && items.get(item) == Some(&ItemState::Written)
        });
    }

    /// Which hosts are wanted otherwise than at the last run. Files do not tell: trust that is taken
    /// away leaves none.
    fn other_hosts(&mut self, entries: &Entries) -> BTreeSet<RegistryHost> {
        let Some(before) = self.entries.replace(entries.clone()) else { return BTreeSet::new() };
        let is_other = |(host, entry): &(&RegistryHost, &Arc<Entry>)| {
            before.get(*host).is_none_or(|before| !before.trusts_like(entry))
        };
        entries.iter().filter(is_other).map(|(host, _)| host.clone()).collect()
    }

    pub(super) fn known(&self) -> BTreeMap<Item, Proof> {
        self.known.iter().map(|(item, (_, proof))| (item.clone(), proof.clone())).collect()
    }

    pub(super) fn ask(
        &mut self,
        hosts: &BTreeSet<RegistryHost>,
        status: &Arc<NodeStatus>,
        reply: oneshot::Sender<Arc<NodeStatus>>,
    ) {
        let meant = |item: &&Item| {
            item.on != Believer::System && (hosts.is_empty() || hosts.contains(&item.host))
        };
        let items = status.registries.iter().flat_map(|registry| &registry.items);
        let items: BTreeSet<Item> =
            items.map(|status| &status.item).filter(meant).cloned().collect();
        self.queue.extend(items.iter().cloned());
        self.asked.push(Asked { from: self.next, open: items, reply });
    }

    /// A runtime has been restarted, and what it has said before is worth less; what it could not be
    /// asked meanwhile is asked now.
    pub(super) fn doubt(&mut self, runtime: Runtime) {
        let believer = Believer::from(runtime);
        let (known, changed) = (&self.known, &self.changed);
        let with = |verdict: Verdict| {
            let all = known.iter().filter(move |(item, (_, proof))| {
                item.on == believer && proof.verdict == verdict && !changed.contains(*item)
            });
            all.map(|(item, _)| item.clone())
        };
        let again = with(Verdict::Trusted).take(AFTER_RESTART).chain(with(Verdict::NotAsked));
        self.queue.extend(again);
    }

    pub(super) async fn finished(&mut self) -> Option<(u64, Proof)> {
        Some(joined(self.running.join_next().await?).await)
    }

    /// What a question was about, if its answer is still about that.
    fn ended(&mut self, number: u64) -> Option<Item> {
        let Question { item, is_void } = self.at_work.remove(&number)?;
        if !is_void {
            return Some(item);
        }
        let mut waiting = self.asked.iter().filter(|asked| asked.from <= number);
        if waiting.any(|asked| asked.open.contains(&item)) {
            self.queue.push(item);
        }
        None
    }

    fn keep(&mut self, number: u64, item: Item, proof: Proof) {
        for asked in self.asked.iter_mut().filter(|asked| asked.from <= number) {
            asked.open.remove(&item);
        }
        if self.known.get(&item).is_none_or(|(newest, _)| *newest < number) {
            self.known.insert(item, (number, proof));
        }
    }

    /// Answers those whose questions are all settled.
    pub(super) fn answer(&mut self, status: &Arc<NodeStatus>) {
        for asked in self.asked.extract_if(.., |asked| asked.open.is_empty()) {
            // Whoever asked may be gone.
            _ = asked.reply.send(Arc::clone(status));
        }
    }
}

impl Agent {
    pub(super) fn proved(&mut self, (number, proof): (u64, Proof)) {
        let Some(item) = self.proofs.ended(number) else { return };
        let trust = self.told().registry(&item.host).and_then(|registry| registry.trust);
        let is_asked_twice =
            item.on == Believer::Containerd && trust == Some(Trust::Insecure.word());
        let proof = if is_asked_twice { proof.with_http_next(&item.host) } else { proof };
        self.proofs.keep(number, item, proof);
    }

    pub(super) fn begin_proofs(&mut self) {
        let status = self.told();
        let proofs = &mut self.proofs;
        let is_in_force = |item: &mut Item| {
            let registry = status.registry(&item.host);
            let mut items = registry.into_iter().flat_map(|registry| &registry.items);
            items.any(|one| one.item == *item && one.state == State::InForce)
        };
        let mut changed: Vec<Item> = std::mem::take(&mut proofs.changed).into_iter().collect();
        let ready: BTreeSet<Item> = changed.extract_if(.., is_in_force).collect();
        proofs.changed = changed.into_iter().collect();
        // A question from before that is about how it was until now.
        for question in proofs.at_work.values_mut() {
            question.is_void |= ready.contains(&question.item);
        }
        proofs.queue.extend(ready);
        proofs.asked.retain(|asked| !asked.reply.is_closed());
        if !self.outfit.habits.perform {
            // In a tree nothing runs that could be asked.
            proofs.queue.clear();
            proofs.asked.iter_mut().for_each(|asked| asked.open.clear());
        }
        while proofs.running.len() < AT_ONCE {
            let Some(item) = proofs.queue.pop() else { break };
            let number = proofs.next;
            proofs.next += 1;
            proofs.at_work.insert(number, Question { item: item.clone(), is_void: false });
            let runtimes = Arc::clone(&self.outfit.runtimes);
            proofs.running.spawn(async move { (number, runtimes.ask(&item).await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::time;
    use super::*;

    fn queued(proofs: &mut Proofs) -> Vec<Item> {
        std::iter::from_fn(|| proofs.queue.pop()).collect()
    }

    #[test]
    fn after_a_restart_some_of_those_that_were_trusted_are_asked_about_again() {
        let mut proofs = Proofs::default();
        let mut know = |host: String, on, verdict| {
            let item = Item { host: host.parse().unwrap(), on };
            let (said, cure) = (String::new(), String::new());
            let proof = Proof { verdict, said, cure, at: time::now() };
            proofs.known.insert(item, (0, proof));
        };
        know("0.corp".to_owned(), Believer::Docker, Verdict::Expired);
        know("0.corp".to_owned(), Believer::Containerd, Verdict::Trusted);
        for number in 1..100 {
            know(format!("{number}.corp"), Believer::Docker, Verdict::Trusted);
        }
        know("100.corp".to_owned(), Believer::Containerd, Verdict::NotAsked);
        proofs.doubt(Runtime::Containerd);
        assert_eq!(queued(&mut proofs).len(), 2);
        proofs.doubt(Runtime::Docker);
        let again = queued(&mut proofs);
        assert_eq!(again.len(), AFTER_RESTART);
        let is_meant = |item: &Item| item.on == Believer::Docker && item.host.as_str() != "0.corp";
        assert!(again.iter().all(is_meant));
    }
}
