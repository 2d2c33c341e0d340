//! systemd's interfaces on the bus, with only what is called. What is not here cannot be done:
//! there is no `ReloadOrRestart`, which restarts a containerd that cannot reload, no `StopUnit`, and
//! no `KillUnit`.

use zbus::{ObjectPath, OwnedObjectPath, Variant};

/// A property of a unit to be made: its name and its value.
pub(super) type Property<'a> = (&'a str, Variant<'a>);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Manager {
    /// Without it systemd sends no signals.
    fn subscribe(&self) -> zbus::Result<()>;

    /// A unit that does not exist can be "loaded" too: its `LoadState` says so.
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;

    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[Property<'_>],
        auxiliary: &[(&str, Vec<Property<'_>>)],
    ) -> zbus::Result<OwnedObjectPath>;

    fn unref_unit(&self, name: &str) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn system_state(&self) -> zbus::Result<String>;

    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: ObjectPath<'_>,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}

// Not cached: a cache follows signals, and between a signal and the next question the answer would
// be old.
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1",
    assume_defaults = false
)]
pub(super) trait Unit {
    #[zbus(property(emits_changed_signal = "false"))]
    fn load_state(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn active_state(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn required_by(&self) -> zbus::Result<Vec<String>>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn bound_by(&self) -> zbus::Result<Vec<String>>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn consists_of(&self) -> zbus::Result<Vec<String>>;

    /// The number 0 if there is none.
    #[zbus(property(emits_changed_signal = "false"))]
    fn job(&self) -> zbus::Result<(u32, OwnedObjectPath)>;

    #[zbus(property(emits_changed_signal = "false"), name = "InvocationID")]
    fn invocation_id(&self) -> zbus::Result<Vec<u8>>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1",
    assume_defaults = false
)]
pub(super) trait Service {
    /// `success`, `exit-code`, `start-limit-hit`, `timeout`, …
    #[zbus(property(emits_changed_signal = "false"))]
    fn result(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"), name = "MainPID")]
    fn main_pid(&self) -> zbus::Result<u32>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn exec_main_status(&self) -> zbus::Result<i32>;
}
