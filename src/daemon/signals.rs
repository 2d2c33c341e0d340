//! What the service manager says, and what it wants to hear.

use std::io;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Stop,
    /// Read the settings again.
    Reload,
}

#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Option<Told> {
        tokio::select! {
            told = self.terminate.recv() => told.map(|()| Told::Stop),
            told = self.interrupt.recv() => told.map(|()| Told::Stop),
            told = self.hangup.recv() => told.map(|()| Told::Reload),
        }
    }
}

pub(super) async fn until(mut stop: watch::Receiver<bool>) {
    // Whoever could say it is gone, which says it as well.
    _ = stop.wait_for(|stop| *stop).await;
}

/// Tells when the service manager wants to hear that all is well.
///
/// The kernel's own timer, because the runtime's wakes up several times on its way to a moment that is
/// far off, once for each level of its wheel. An idle daemon on thousands of nodes is to wake up as
/// often as somebody asked for, and no more.
///
/// A pipe, for the runtime: what it waits for and reads is the same, and to have it wait for any other
/// kind of descriptor is unsafe.
#[derive(Debug)]
pub(super) struct Pulse(pipe::Receiver);

impl Pulse {
    /// Twice as often as the watchdog wants. `None`: there is none, and nothing wakes an idle daemon.
    pub(super) fn wanted() -> io::Result<Option<Self>> {
        let Some(watchdog) = sd_notify::watchdog_enabled() else { return Ok(None) };
        let period = (watchdog / 2).max(Duration::from_secs(1));
        let period = Timespec::try_from(period).map_err(|_| io::ErrorKind::InvalidInput)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let beats = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &beats)?;
        Ok(Some(Self(pipe::Receiver::from_owned_fd_unchecked(timer)?)))
    }

    async fn beat(&self) -> io::Result<()> {
        loop {
            self.0.readable().await?;
            // How many beats were missed meanwhile. One is enough to be heard.
            match self.0.try_read(&mut [0; size_of::<u64>()]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(drop),
            }
        }
    }
}

/// Without a watchdog it never ends.
pub(super) async fn beat(pulse: Option<&Pulse>) {
    let beaten = match pulse {
        Some(pulse) => pulse.beat().await,
        None => return std::future::pending().await,
    };
    if let Err(error) = beaten {
        // The service manager starts a new daemon soon, which is right: this one cannot tell the time.
        tracing::error!(%error, "the watchdog's timer cannot be read");
        std::future::pending::<()>().await;
    }
}
