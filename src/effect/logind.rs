//! What logind knows of a shutdown.

use super::bus::{Bus, BusError, answer};

/// What is inhibited, by whom and why, how, and the user and the process that asked for it.
pub type Inhibitor = (String, String, String, String, u32, u32);

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Logind {
    /// A node without logind has no inhibitors, and is not given a logind by our question.
    #[zbus(no_autostart)]
    fn list_inhibitors(&self) -> zbus::Result<Vec<Inhibitor>>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn preparing_for_shutdown(&self) -> zbus::Result<bool>;
}

impl Bus {
    /// `None`: logind does not run.
    pub async fn inhibitors(&self) -> Result<Option<Vec<Inhibitor>>, BusError> {
        let operation = "say who holds a shutdown back";
        let logind = answer(operation, LogindProxy::new(self.connection())).await?;
        match answer(operation, logind.list_inhibitors()).await {
            Err(BusError::Call { source, .. }) if is_nobody(&source) => Ok(None),
            inhibitors => inhibitors.map(Some),
        }
    }

    pub async fn prepares_for_shutdown(&self) -> Result<bool, BusError> {
        let operation = "say whether the node is about to shut down";
        let logind = answer(operation, LogindProxy::new(self.connection())).await?;
        answer(operation, logind.preparing_for_shutdown()).await
    }
}

fn is_nobody(error: &zbus::Error) -> bool {
    let zbus::Error::MethodError(name, ..) = error else { return false };
    ["NameHasNoOwner", "ServiceUnknown"].iter().any(|kind| name.ends_with(kind))
}
