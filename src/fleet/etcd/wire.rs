//! etcd's own words, as `proto/etcd/rpc.proto` has them.
#![expect(
    clippy::pedantic,
    unreachable_pub,
    reason = "generated code follows its generator's taste"
)]

tonic::include_proto!("etcdserverpb");
