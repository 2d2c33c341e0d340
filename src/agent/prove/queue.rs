//! What is to be asked: first come, first asked.

use std::collections::{BTreeSet, VecDeque};

use crate::target::Item;

/// Each item once, however many want to know: it is asked after all of them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<Item>,
    /// The same again: a search through thousands for each of thousands would hold up everything else.
    members: BTreeSet<Item>,
}

impl Queue {
    pub(super) fn push(&mut self, item: Item) {
        if self.members.insert(item.clone()) {
            self.order.push_back(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.order.pop_front()?;
        self.members.remove(&item);
        Some(item)
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(&Item) -> bool) {
        self.order.retain(&is_kept);
        self.members.retain(is_kept);
    }

    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.members.clear();
    }
}

impl Extend<Item> for Queue {
    fn extend<I: IntoIterator<Item = Item>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Believer;

    #[test]
    fn each_is_asked_once_in_the_order_of_their_coming() {
        let item = |host: &str| Item { host: host.parse().unwrap(), on: Believer::Docker };
        let mut queue = Queue::default();
        queue.extend(["b.corp", "a.corp", "b.corp", "c.corp", "d.corp"].map(item));
        queue.retain(|one| one.host.as_str() != "c.corp");
        assert_eq!(queue.pop(), Some(item("b.corp")));
        queue.extend(["a.corp", "b.corp", "c.corp"].map(item));
        let rest: Vec<Item> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, ["a.corp", "d.corp", "b.corp", "c.corp"].map(item));
        queue.push(item("a.corp"));
        queue.clear();
        queue.push(item("a.corp"));
        assert_eq!(queue.pop(), Some(item("a.corp")));
    }
}
