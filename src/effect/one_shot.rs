//! A program that systemd runs once, in a unit of its own: an upgrade of regtrust in the middle does
//! not kill it, and what it says is in the journal.

use std::time::Duration;

use tokio::time::sleep;
use zbus::Variant;

use super::bus::{Bus, BusError, JobEnd, MODE, answer};

/// How often one that must have ended before is looked for.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct OneShot<'a> {
    /// What it is begun for, for messages.
    pub(super) operation: &'static str,
    pub(super) unit: &'a str,
    pub(super) description: String,
    /// The program first.
    pub(super) argv: Vec<&'a str>,
    pub(super) environment: Vec<String>,
    /// Whether what it prints is for nobody. What it complains of is in the journal all the same.
    pub(super) is_quiet: bool,
    /// How long systemd lets it run.
    pub(super) limit: Duration,
    /// How long systemd is waited for.
    pub(super) patience: Duration,
}

#[derive(Debug)]
pub(super) struct Ended {
    pub(super) job: JobEnd,
    /// Its exit code, or 0 where that is not known.
    pub(super) status: i32,
    /// systemd's word for how it failed; empty where it did not, or that is not known.
    pub(super) result: String,
}

impl Bus {
    pub(super) async fn run_once(&self, shot: &OneShot<'_>) -> Result<Ended, BusError> {
        let properties = shot.properties();
        let begin = self.manager.start_transient_unit(shot.unit, MODE, &properties, &[]);
        let job = self.job(shot.operation, shot.patience, begin).await?;
        let (status, result) = match job {
            JobEnd::Done => (0, String::new()),
            _ => (
                self.exit_status(shot.unit).await.unwrap_or_default(),
                self.result(shot.unit).await.unwrap_or_default(),
            ),
        };
        // Our hold on it ends with the connection as well.
        if let Err(error) = answer("forget a unit", self.manager.unref_unit(shot.unit)).await {
            tracing::debug!(unit = shot.unit, %error, "the unit is gone");
        }
        Ok(Ended { job, status, result })
    }

    /// The same where every run has the same unit, and systemd lets one after the other have it: also
    /// one that a regtrustd began which was killed meanwhile. `None`: that has not ended in time.
    pub(super) async fn run_alone(&self, shot: &OneShot<'_>) -> Result<Option<Ended>, BusError> {
        let mut waited = Duration::ZERO;
        while waited <= shot.patience {
            match self.run_once(shot).await {
                Err(BusError::Call { source, .. }) if is_at_work(&source) => {
                    sleep(LOOK).await;
                    waited += LOOK;
                }
                ended => return ended.map(Some),
            }
        }
        Ok(None)
    }
}

fn is_at_work(error: &zbus::Error) -> bool {
    let zbus::Error::MethodError(name, ..) = error else { return false };
    name.ends_with(".UnitExists")
}

impl OneShot<'_> {
    fn properties(&self) -> Vec<(&str, Variant<'_>)> {
        let program = self.argv.first().copied().unwrap_or_default();
        // Program, arguments, and whether its failure is to be ignored.
        let command = vec![(program, self.argv.clone(), false)];
        let limit = u64::try_from(self.limit.as_micros()).unwrap_or(u64::MAX);
        vec![
            ("Description", Variant::from(self.description.as_str())),
            ("Type", Variant::from("oneshot")),
            ("RemainAfterExit", Variant::from(false)),
            ("StandardOutput", Variant::from(if self.is_quiet { "null" } else { "journal" })),
            ("TimeoutStartUSec", Variant::from(limit)),
            // A failed unit stays until somebody resets it, unless it is told not to; and it is to
            // stay until we have read its exit code.
            ("CollectMode", Variant::from("inactive-or-failed")),
            ("AddRef", Variant::from(true)),
            ("Environment", Variant::new(self.environment.clone())),
            ("ExecStart", Variant::new(command)),
        ]
    }
}
