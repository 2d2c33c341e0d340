//! The messages of CRI's `RuntimeService` that are used here, with the few of their fields that are
//! needed, under the numbers that CRI's definition gives them.

use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<SandboxConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SandboxConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<SandboxMetadata>,
    #[prost(string, tag = "3")]
    pub(super) logs: String,
    #[prost(map = "string, string", tag = "6")]
    pub(super) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "7")]
    pub(super) annotations: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    pub(super) linux: Option<LinuxSandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LinuxSandbox {
    #[prost(message, optional, tag = "2")]
    pub(super) security: Option<SandboxSecurity>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SandboxSecurity {
    #[prost(message, optional, tag = "1")]
    pub(super) namespaces: Option<Namespaces>,
    #[prost(message, optional, tag = "2")]
    pub(super) selinux: Option<SeLinux>,
    #[prost(message, optional, tag = "9")]
    pub(super) seccomp: Option<Profile>,
    #[prost(message, optional, tag = "10")]
    pub(super) apparmor: Option<Profile>,
}

/// Whose each namespace is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Namespaces {
    #[prost(int32, tag = "1")]
    pub(super) network: i32,
    #[prost(int32, tag = "2")]
    pub(super) pid: i32,
    #[prost(int32, tag = "3")]
    pub(super) ipc: i32,
}

pub(super) const OF_POD: i32 = 0;
pub(super) const OF_CONTAINER: i32 = 1;
pub(super) const OF_NODE: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SeLinux {
    #[prost(string, tag = "3")]
    pub(super) kind: String,
}

/// Of seccomp or `AppArmor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Profile {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
}

pub(super) const RUNTIME_DEFAULT: i32 = 0;
pub(super) const UNCONFINED: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    pub(super) sandbox: String,
    #[prost(message, optional, tag = "2")]
    pub(super) config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    pub(super) of: Option<SandboxConfig>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(super) image: Option<Image>,
    #[prost(string, repeated, tag = "3")]
    pub(super) command: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(super) arguments: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub(super) mounts: Vec<Mount>,
    /// Below the sandbox's logs; without it what the container says is thrown away.
    #[prost(string, tag = "11")]
    pub(super) log: String,
    #[prost(message, optional, tag = "15")]
    pub(super) linux: Option<LinuxContainer>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Image {
    #[prost(string, tag = "1")]
    pub(super) image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Mount {
    #[prost(string, tag = "1")]
    pub(super) to: String,
    #[prost(string, tag = "2")]
    pub(super) from: String,
    #[prost(bool, tag = "3")]
    pub(super) read_only: bool,
    #[prost(int32, tag = "5")]
    pub(super) propagation: i32,
}

pub(super) const PRIVATE: i32 = 0;
pub(super) const HOST_TO_CONTAINER: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LinuxContainer {
    #[prost(message, optional, tag = "2")]
    pub(super) security: Option<ContainerSecurity>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerSecurity {
    #[prost(message, optional, tag = "1")]
    pub(super) capabilities: Option<Capabilities>,
    #[prost(message, optional, tag = "3")]
    pub(super) namespaces: Option<Namespaces>,
    #[prost(message, optional, tag = "4")]
    pub(super) selinux: Option<SeLinux>,
    #[prost(message, optional, tag = "5")]
    pub(super) user: Option<Number>,
    #[prost(bool, tag = "7")]
    pub(super) read_only_root: bool,
    #[prost(bool, tag = "11")]
    pub(super) no_new_privileges: bool,
    #[prost(message, optional, tag = "12")]
    pub(super) group: Option<Number>,
    #[prost(message, optional, tag = "15")]
    pub(super) seccomp: Option<Profile>,
    #[prost(message, optional, tag = "16")]
    pub(super) apparmor: Option<Profile>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Capabilities {
    #[prost(string, repeated, tag = "1")]
    pub(super) add: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) drop: Vec<String>,
}

/// So that 0 can be told from nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Number {
    #[prost(int64, tag = "1")]
    pub(super) value: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExecSyncRequest {
    #[prost(string, tag = "1")]
    pub(super) container: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) command: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExecSyncResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) stdout: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) stderr: Vec<u8>,
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StopContainerRequest {
    #[prost(string, tag = "1")]
    pub(super) container: String,
    /// Seconds until it is killed.
    #[prost(int64, tag = "2")]
    pub(super) grace: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) container: String,
    #[prost(bool, tag = "2")]
    pub(super) verbose: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(map = "string, string", tag = "2")]
    pub(super) info: HashMap<String, String>,
}

/// What is started is named in the answer, and what is stopped in the request, each time by the one
/// field that there is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Nothing {}
