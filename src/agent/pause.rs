//! An operator's pause, which outlives the daemon that was told of it.

use jiff::SignedDuration;

use super::run::Agent;
use super::time;
use crate::node::root::NodeRoot;
use crate::reconcile::ReconcileError;
use crate::state::{self, Kept};
use crate::status::Pause;

impl Agent {
    /// A pause that was lost with a crash would restart what somebody relies on.
    pub(super) async fn pause_until(&mut self, pause: Option<Pause>) -> Result<(), ReconcileError> {
        let bytes = |pause| serde_json::to_vec(&Kept::new(pause)).unwrap_or_default();
        let bytes = pause.as_ref().map(bytes);
        self.keep(state::pause_path(), bytes).await?;
        self.effects.release();
        self.pause = pause;
        Ok(())
    }
}

/// The pause that the last daemon was told. One that cannot be read may have been meant to last.
pub(super) fn read(root: &NodeRoot) -> Option<Pause> {
    match state::read_kept(root, &state::pause_path()) {
        Ok(pause) => pause,
        Err(error) => {
            let error = crate::effect::chain(&error);
            tracing::error!(error, "the pause cannot be read, so one of an hour is assumed");
            let until = time::now().checked_add(SignedDuration::from_hours(1)).ok()?;
            let reason = "a pause was found that cannot be read".to_owned();
            Some(Pause { until, reason, by: "regtrustd".to_owned() })
        }
    }
}
