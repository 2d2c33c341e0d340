#!/usr/bin/env python3
"""Makes nodes trust a set of registries: what a control plane does when a user adds one.

    pip install grpcio grpcio-tools googleapis-common-protos
    python3 -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. regtrust/v1/regtrust.proto

    control_plane.py --ca registry-ca.pem --registry harbor.corp:8443 unix:/run/regtrust/admin.sock
    control_plane.py --tls ./tls --name regtrust.regtrust-system.svc --ca registry-ca.pem \\
        --registry harbor.corp:8443 10.0.0.7:7443 10.0.0.8:7443

With no --registry the owner wants nothing any more, which withdraws what it wanted.
"""

import argparse
import concurrent.futures
import pathlib
import sys

import grpc
from google.rpc import error_details_pb2, status_pb2
from regtrust.v1 import regtrust_pb2 as api
from regtrust.v1 import regtrust_pb2_grpc

# Longer than a restart may take; a node that is busy with jobs answers sooner, and says what it waits for.
PATIENCE = 120


def connect(address, tls, name):
    """A channel to one node. Who we are is the socket's peer or the certificate, never a field."""
    if address.startswith("unix:"):
        # grpcio's own choice is the socket's escaped path, which HTTP/2 does not take as a name.
        return grpc.insecure_channel(address, [("grpc.default_authority", "localhost")])
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(tls / "ca.crt").read_bytes(),
        private_key=(tls / "tls.key").read_bytes(),
        certificate_chain=(tls / "tls.crt").read_bytes(),
    )
    # Nodes are called by their address and show a certificate for the name of all of them.
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(address, credentials, options)


def explain(error):
    """What to tell the user: every refusal has a reason for programs and a cure for people."""
    packed = dict(error.trailing_metadata() or []).get("grpc-status-details-bin")
    words = [f"{error.code().name}: {error.details()}"]
    for detail in status_pb2.Status.FromString(packed).details if packed else []:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            words.append(f"reason {info.reason}; {info.metadata.get('cure', 'no cure is known')}")
        elif detail.Unpack(request):
            words += [f"{one.field}: {one.description}" for one in request.field_violations]
    return "; ".join(words)


def apply(node, registries):
    """The whole set, always. The same set again changes nothing, so a doubt is settled by asking."""
    request = api.ApplyRequest(registries=registries, wait_for=api.WAIT_FOR_DURABLE)
    # The answer means that it is on the node's disk. Nobody else's change is overwritten: each
    # owner has a set of its own, and this replaces ours.
    return node.Apply(request, timeout=PATIENCE)


def follow(node, hosts):
    """Waits until every registry is in force everywhere on the node, or somebody has to look."""
    for status in node.WatchStatus(api.WatchStatusRequest(), timeout=PATIENCE):
        ours = [one for one in status.registries if one.host in hosts]
        items = [item for one in ours for item in one.items]
        done = all(item.state == api.ItemStatus.STATE_IN_FORCE for item in items)
        if status.phase == api.PHASE_DEGRADED or (len(ours) == len(hosts) and items and done):
            return status
        for due in status.due:
            print(f"  {due.command} waits: {due.waiting_for or 'its turn'}", file=sys.stderr)
    raise AssertionError("the stream has no end of its own")


def deploy(address, arguments, registries):
    """One node. Returns what to tell the user, and whether all is well."""
    with connect(address, arguments.tls, arguments.name) as channel:
        node = regtrust_pb2_grpc.NodeStub(channel)
        try:
            answer = apply(node, registries)
            hosts = {one.host for one in answer.registries}
            status = follow(node, hosts) if hosts else node.GetStatus(api.GetStatusRequest())
        except grpc.RpcError as error:
            return f"{address}: {explain(error)}", False
        lines = [f"{address}: revision {answer.revision}, {status.summary}"]
        lines += [f"  {one.path}: {one.message}; {one.cure}" for one in answer.conflicts]
        return "\n".join(lines), status.phase != api.PHASE_DEGRADED


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nodes", nargs="+", metavar="NODE", help="unix:PATH or ADDRESS:PORT")
    parser.add_argument("--tls", type=pathlib.Path, help="a directory with ca.crt, tls.crt, tls.key")
    parser.add_argument("--name", help="the name in the nodes' certificate")
    parser.add_argument("--registry", action="append", default=[], metavar="HOST[:PORT]")
    parser.add_argument("--ca", type=pathlib.Path, help="the CA of the registries; else the system's")
    arguments = parser.parse_args()

    trust = {"trust": api.TRUST_SYSTEM}
    if arguments.ca:
        trust = {"trust": api.TRUST_CA, "ca": arguments.ca.read_text()}
    registries = [api.Registry(host=host, **trust) for host in arguments.registry]
    with concurrent.futures.ThreadPoolExecutor(max_workers=32) as pool:
        ends = list(pool.map(lambda node: deploy(node, arguments, registries), arguments.nodes))
    for words, _ in ends:
        print(words)
    return 0 if all(well for _, well in ends) else 1


if __name__ == "__main__":
    sys.exit(main())
