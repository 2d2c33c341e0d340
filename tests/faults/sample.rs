//! What to take when there is no time for all of it, repeatably.

use crate::chance::Chance;

/// As many of them, or all; in their order.
pub(crate) fn some_of<T>(chance: &mut Chance, mut items: Vec<T>, count: usize) -> Vec<T> {
    while items.len() > count {
        items.remove(chance.below(items.len()));
    }
    items
}
