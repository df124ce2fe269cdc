//! Where connections wait until they have said something and there is room for them.
//!
//! Who says nothing costs nobody a place: where too many wait, the one that has been silent for longest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Lobby {
    most: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    /// In the order in which they came; who has said something is not let go for another.
    waiting: BTreeMap<u64, Option<Arc<Notify>>>,
}

/// A place in the lobby. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Place {
    lobby: Arc<Lobby>,
    number: u64,
    sent_away: Arc<Notify>,
}

impl Lobby {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, inside: Mutex::default() })
    }

    /// A place for who comes now; none where all who wait have said something.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut inside = self.inside();
        if inside.waiting.len() >= self.most {
            let silent = inside.waiting.iter().find_map(|(number, silent)| {
                silent.as_ref().map(|sent_away| (*number, Arc::clone(sent_away)))
            });
            let (number, sent_away) = silent?;
            inside.waiting.remove(&number);
            sent_away.notify_one();
        }
        let (number, sent_away) = (inside.next, Arc::new(Notify::new()));
        inside.next += 1;
        inside.waiting.insert(number, Some(Arc::clone(&sent_away)));
        Some(Place { lobby: Arc::clone(self), number, sent_away })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the place is needed for another.
    pub(crate) async fn sent_away(&self) {
        self.sent_away.notified().await;
    }

    /// From here on, it is kept.
    pub(crate) fn spoke(&self) {
        if let Some(silent) = self.lobby.inside().waiting.get_mut(&self.number) {
            *silent = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lobby.inside().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_silent_for_longest_goes_first_and_no_one_that_spoke() {
        let lobby = Lobby::new(2);
        let first = lobby.enter().expect("there is room");
        let second = lobby.enter().expect("there is room");
        first.spoke();
        let third = lobby.enter().expect("the second is silent");
        assert!(!lobby.inside().waiting.contains_key(&second.number));
        third.spoke();
        assert!(lobby.enter().is_none());
        drop(first);
        assert!(lobby.enter().is_some());
    }
}
