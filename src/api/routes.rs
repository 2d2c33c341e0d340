//! The services behind the gate.

use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;

use super::DESCRIPTORS;
use super::access::Largest;
use super::health::{Alive, Asking};
use super::v1::node_server::{Node, NodeServer};
use crate::identity::Role;

#[derive(Debug, thiserror::Error)]
#[error("the compiled definitions cannot be served by reflection")]
pub struct RoutesError(#[from] tonic_reflection::server::Error);

/// The node's service with health and reflection beside it. The reporter tells health what to say
/// as long as `alive` says yes.
///
/// Reflection shows nothing that is not in the source, so that a person with grpcurl needs no file.
pub async fn routes<N: Node>(
    node: N,
    alive: Alive,
) -> Result<(Routes, HealthReporter), RoutesError> {
    let reporter = HealthReporter::new();
    let health = HealthServer::new(Asking::new(alive, reporter.clone()));
    reporter.set_serving::<NodeServer<N>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    // The gate has the limits of each call; this is only above them all.
    let node =
        NodeServer::new(node).max_decoding_message_size(Largest::Declarations.bytes(Role::Admin));
    // A conversation passes the gate unread, so the service has the limit itself.
    let reflection = reflection.max_decoding_message_size(Largest::Words.bytes(Role::Reader));
    let routes = Routes::new(node).add_service(health).add_service(reflection).prepare();
    Ok((routes, reporter))
}
