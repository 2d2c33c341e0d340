//! The lab: machines with real systemd, docker, containerd and registries, for cases to try the
//! product on.
//!
//! A case is a function that gets a [`Node`] on which nothing has happened yet:
//!
//! ```ignore
//! fn a_private_ca_is_trusted_at_once(node: &Node) {
//!     let host = node.host();                                   // a name and an address
//!     let authority = Authority::new("corp");                   // root and intermediate
//!     let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
//!     let image = registry.image("app");                        // "r1.lab/r1-lab/app:1"
//!
//!     let before = Witness::of(node);
//!     assert!(Puller::Docker.pull(node, &image).unwrap_err().contains("x509"));
//!     node.declare("corp", &Declaration::ca(&registry.name(), &authority.root));
//!     let survey = node.apply();                                // regtrust apply --json
//!     assert_eq!(survey.due(), [] as [&str; 0]);                // what the plan says it takes
//!     Puller::Docker.pull(node, &image).unwrap();
//!     assert_eq!(Witness::of(node), before);                    // same processes, no SIGHUP
//! }
//! ```
//!
//! | to | use |
//! |---|---|
//! | run a program, a script | [`Node::run`], [`Node::sh`] |
//! | write, read, remove a file | [`Node::write`], [`Node::read`], [`Node::remove`] |
//! | have a registry | [`Setup`], which [`registry::Registry`] comes from |
//! | have certificates | [`Authority`], [`self_signed_server`] |
//! | hold a pull open | [`held::Held`] |
//! | start a pod | [`pods::Pod`] |
//! | say that a job runs | [`lease::Lease`] |
//! | have a fleet's lock | [`fleet_lock::FleetLock`] |
//! | pull | [`Puller`]; with a pull secret [`cri::pull_as`]; many times, [`engine::pull`] |
//! | run regtrust | [`Node::declare`], [`Node::withdraw`], [`Node::plan`], [`Node::apply`] |
//! | do what a plan names | [`Node::perform`] |
//! | see that nothing was disturbed | [`Witness`] |
//! | wait | [`wait::eventually`] |
//!
//! A case need not clean up. One that restarts nothing leaves its node to the next case ([`pool`]),
//! which saves a boot. Cases run in parallel, each alone on its node.

pub(crate) mod archive;
pub(crate) mod certificates;
pub(crate) mod cri;
pub(crate) mod daemon;
pub(crate) mod declaration;
pub(crate) mod engine;
pub(crate) mod etc;
mod files;
pub(crate) mod fleet_lock;
pub(crate) mod held;
pub(crate) mod image;
mod inside;
pub(crate) mod keeper;
pub(crate) mod kubelet;
pub(crate) mod lease;
mod listener;
pub(crate) mod machine;
pub(crate) mod manifest;
pub(crate) mod node;
pub(crate) mod picture;
pub(crate) mod pods;
pub(crate) mod pool;
pub(crate) mod product;
pub(crate) mod pull;
pub(crate) mod python;
pub(crate) mod registry;
pub(crate) mod report;
mod runtime_v1;
pub(crate) mod wait;
pub(crate) mod witness;

pub(crate) use certificates::{Authority, self_signed_server};
pub(crate) use declaration::Declaration;
pub(crate) use image::Suite;
pub(crate) use node::{Host, Node, Outfit};
pub(crate) use pull::{PLAIN, Puller, UNKNOWN};
pub(crate) use registry::Setup;
pub(crate) use witness::Witness;
