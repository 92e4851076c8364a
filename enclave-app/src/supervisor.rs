//! Start everything in one place, stop everything in one place.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

/// Why the process is going down; becomes its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Asked to stop, and everything stopped in time.
    Clean,
    /// Asked to stop; this many connections were still open at the deadline.
    Cut { connections: usize },
    /// A service ended or panicked without being asked to.
    Died { service: &'static str },
}

/// Long-lived services and short-lived tasks, under one token.
#[derive(Debug)]
pub struct Supervisor {
    token: CancellationToken,
    services: JoinSet<&'static str>,
    tasks: TaskTracker,
}

impl Supervisor {
    pub fn new() -> Self {
        Self {
            token: CancellationToken::new(),
            services: JoinSet::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Told when everything is to stop.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Where connections and other short-lived tasks are tracked.
    pub fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    /// Starts a service. It must return soon after `token` is cancelled and
    /// never before.
    pub fn service<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let run = run(self.token.clone());
        self.services.spawn(async move {
            run.await;
            name
        });
    }

    /// Runs until `signal` fires or a service dies, then drains.
    ///
    /// The order is the contract: stop accepting, let requests in flight
    /// finish, and only then may the caller drop the state that holds keys.
    pub async fn run(mut self, signal: impl Future<Output = ()>, grace: Duration) -> Stop {
        let died = tokio::select! {
            () = signal => None,
            Some(ended) = self.services.join_next() => Some(ended.unwrap_or("panicked")),
        };
        self.token.cancel();
        self.tasks.close();

        let drained = timeout(grace, async {
            self.tasks.wait().await;
            while self.services.join_next().await.is_some() {}
        })
        .await;

        match (died, drained) {
            (Some(service), _) => {
                error!(service, "a service ended by itself");
                Stop::Died { service }
            }
            (None, Ok(())) => {
                info!("stopped cleanly");
                Stop::Clean
            }
            (None, Err(_)) => {
                let connections = self.tasks.len();
                warn!(connections, "grace period over; closing what is left");
                Stop::Cut { connections }
            }
        }
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_request_in_flight() {
        let mut supervisor = Supervisor::new();
        supervisor.service("poller", |token| async move { token.cancelled().await });
        supervisor.tasks().spawn(tokio::time::sleep(Duration::from_secs(3)));
        assert_eq!(supervisor.run(async {}, Duration::from_secs(10)).await, Stop::Clean);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_at_the_deadline() {
        let supervisor = Supervisor::new();
        supervisor.tasks().spawn(std::future::pending::<()>());
        let stop = supervisor.run(async {}, Duration::from_secs(10)).await;
        assert_eq!(stop, Stop::Cut { connections: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_service_takes_the_process_down() {
        let mut supervisor = Supervisor::new();
        supervisor.service("poller", |_| async {});
        let never = std::future::pending();
        let stop = supervisor.run(never, Duration::from_secs(10)).await;
        assert_eq!(stop, Stop::Died { service: "poller" });
    }
}
