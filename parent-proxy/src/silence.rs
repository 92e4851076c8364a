//! Notices relays in which nothing moves, without a timer for each.
//!
//! One task looks at every relay once a second and wakes those that have been
//! silent for their time-out. Traffic costs a relaxed store; the runtime's own
//! timers would cost each connection a system call.
//!
//! # Limits
//!
//! A relay is woken between its idle time-out and one second later.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_secs(1);

/// Everybody who is watched.
#[derive(Debug, Default)]
pub struct Watch {
    places: Mutex<Places>,
    someone: Notify,
}

#[derive(Debug, Default)]
struct Places {
    taken: Vec<Option<Arc<Entry>>>,
    free: Vec<usize>,
}

/// One relay under watch. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watched {
    watch: Arc<Watch>,
    place: usize,
    entry: Arc<Entry>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Entry {
    moved: AtomicBool,
    /// Looks in a row that found nothing moved.
    quiet: AtomicU64,
    quiet_max: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Watch {
    /// Watches a relay that may be silent for `idle`, in whole seconds.
    pub fn watch(self: &Arc<Self>, idle: Duration) -> Watched {
        let entry = Arc::new(Entry {
            moved: AtomicBool::new(true),
            quiet: AtomicU64::new(0),
            quiet_max: AtomicU64::new(idle.as_secs().max(1)),
            waker: Mutex::new(None),
        });
        let mut places = self.lock();
        if places.free.len() == places.taken.len() {
            self.someone.notify_one();
        }
        let place = places.free.pop().unwrap_or_else(|| {
            places.taken.push(None);
            places.taken.len() - 1
        });
        if let Some(slot) = places.taken.get_mut(place) {
            *slot = Some(Arc::clone(&entry));
        }
        drop(places);
        Watched { watch: Arc::clone(self), place, entry, waker: None }
    }

    /// Looks around for ever.
    pub async fn run(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let nobody = {
                let places = self.lock();
                places.taken.iter().flatten().for_each(|entry| entry.look());
                places.free.len() == places.taken.len()
            };
            if nobody {
                self.someone.notified().await;
                ticks.reset();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn look(&self) {
        if self.moved.swap(false, Ordering::Relaxed) {
            self.quiet.store(0, Ordering::Relaxed);
        } else if self.quiet.fetch_add(1, Ordering::Relaxed) + 1
            >= self.quiet_max.load(Ordering::Relaxed)
            && let Some(waker) = self.waker().as_ref()
        {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// From here on the relay may be silent for `idle`.
    pub fn allow(&self, idle: Duration) {
        self.entry.quiet_max.store(idle.as_secs().max(1), Ordering::Relaxed);
    }

    /// Says whether bytes moved just now, and whom to wake after silence; tells
    /// whether the time-out is over.
    pub fn is_over(&mut self, moved: bool, waker: &Waker) -> bool {
        if moved {
            self.entry.moved.store(true, Ordering::Relaxed);
        }
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *self.entry.waker() = Some(waker.clone());
            self.waker = Some(waker.clone());
        }
        !self.entry.moved.load(Ordering::Relaxed)
            && self.entry.quiet.load(Ordering::Relaxed)
                >= self.entry.quiet_max.load(Ordering::Relaxed)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut places = self.watch.lock();
        if let Some(slot) = places.taken.get_mut(self.place) {
            *slot = None;
        }
        places.free.push(self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use tokio::time::{advance, sleep};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_over_after_its_time_and_not_before() {
        let watch = Arc::new(Watch::default());
        let mut running = tokio::task::JoinSet::new();
        let looking = Arc::clone(&watch);
        running.spawn(async move { looking.run().await });
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut watched = watch.watch(Duration::from_secs(5));
        for _ in 0..20 {
            // Something moves every four seconds.
            sleep(Duration::from_secs(4)).await;
            assert!(!watched.is_over(true, &waker));
        }
        sleep(Duration::from_millis(4_900)).await;
        assert!(!woken.0.load(Ordering::Relaxed));
        sleep(Duration::from_millis(1_200)).await;
        assert!(woken.0.load(Ordering::Relaxed));
        assert!(watched.is_over(false, &waker));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_looked_at_after_leaving() {
        let watch = Arc::new(Watch::default());
        let mut running = tokio::task::JoinSet::new();
        let looking = Arc::clone(&watch);
        running.spawn(async move { looking.run().await });
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut watched = watch.watch(Duration::from_secs(1));
        assert!(!watched.is_over(false, &waker));
        drop((watched, waker));
        assert_eq!(Arc::strong_count(&woken), 1, "the waker went with the watch");
        advance(Duration::from_secs(30)).await;
        let again = watch.watch(Duration::from_secs(1));
        assert_eq!(again.place, 0, "the place was taken again");
    }
}
