//! Generates the API's types. protox compiles the definitions in Rust, so no `protoc` is needed.
#![expect(clippy::disallowed_methods, reason = "a build script runs on no node")]

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message as _;

const DEFINITIONS: &str = "regtrust/v1/regtrust.proto";
const ETCD: &str = "etcd/rpc.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile([DEFINITIONS], ["proto"])?;
    // Served by reflection, so that a person with grpcurl needs nothing but the socket.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    // Somebody else's contract, which we only call and do not show.
    let etcd = protox::compile([ETCD], ["proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(etcd)?;
    Ok(())
}
