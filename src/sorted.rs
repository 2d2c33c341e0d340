//! Things in order that are gone through side by side, which thousands of searches are not: each of
//! those would meet memory that nobody has touched for long. Pure.

use std::cmp::Ordering;
use std::iter::Peekable;

/// Goes on in `sorted` to where `wanted` stands, or would stand, and says whether it is there.
///
/// To be asked about one thing after another, in order.
pub(crate) fn reaches<'a, T, I>(sorted: &mut Peekable<I>, wanted: &T) -> bool
where
    T: Ord + ?Sized + 'a,
    I: Iterator<Item = &'a T>,
{
    while let Some(next) = sorted.peek() {
        match (**next).cmp(wanted) {
            Ordering::Less => _ = sorted.next(),
            Ordering::Equal => return true,
            Ordering::Greater => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_however_often_it_is_asked_for() {
        let mut sorted = ["b", "d", "d", "f"].into_iter().peekable();
        let found =
            ["a", "b", "b", "c", "d", "d", "e", "f", "g"].map(|one| reaches(&mut sorted, one));
        assert_eq!(found, [false, true, true, false, true, true, false, true, false]);
    }
}
