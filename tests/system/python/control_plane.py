"""A control plane as somebody else would write one: stock grpcio, and code generated from our proto.

Usage: control_plane.py SOCKET DIRECTORY-OF-GENERATED-CODE CA-FILE
It ends with 0 when everything was as the contract says.
"""
import sys
import threading
import time

SOCKET, GENERATED, CA = sys.argv[1:4]
sys.path.insert(0, GENERATED)

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from regtrust.v1 import regtrust_pb2 as v1
from regtrust.v1 import regtrust_pb2_grpc

PATIENCE = 60
with open(CA, encoding="utf-8") as file:
    AUTHORITY = file.read()


def secure(host):
    return v1.Registry(host=host, trust=v1.TRUST_CA, ca=AUTHORITY)


def insecure(host):
    return v1.Registry(host=host, trust=v1.TRUST_INSECURE)


def details(error):
    """The google.rpc details of an error, by their kind."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    found = {}
    for packed in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
            if packed.Is(kind.DESCRIPTOR):
                found[kind.__name__] = kind()
                packed.Unpack(found[kind.__name__])
    return found


def refused(code, reason, call):
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        found = details(error)
        info = found["ErrorInfo"]
        assert (info.domain, info.reason) == ("regtrust", reason), info
        return found
    raise AssertionError(f"it was allowed: {answer}")


class Watcher(threading.Thread):
    """Everything that WatchStatus has said."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.stream = node.WatchStatus(v1.WatchStatusRequest())
        self.heard = []
        self.news = threading.Condition()
        self.start()

    def run(self):
        try:
            for status in self.stream:
                with self.news:
                    self.heard.append(status)
                    self.news.notify_all()
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.CANCELLED, error

    def until(self, what, is_so):
        with self.news:
            if not self.news.wait_for(lambda: self.heard and is_so(self.heard[-1]), PATIENCE):
                raise AssertionError(f"never: {what}. The last: {self.heard[-1:]}")
            return self.heard[-1]


def hosts(status):
    return sorted(registry.host for registry in status.registries)


def main():
    # Its default is the escaped path of the socket, which is no authority in HTTP/2's sense; the
    # daemon's HTTP library resets such a stream with PROTOCOL_ERROR.
    options = [("grpc.default_authority", "localhost")]
    node = regtrust_pb2_grpc.NodeStub(grpc.insecure_channel("unix:" + SOCKET, options=options))
    watcher = Watcher(node)
    first = watcher.until("the first status", lambda status: status.sequence > 0)
    assert hosts(first) == []

    # Apply, and wait until it is in force.
    pair = [secure("harbor.corp"), insecure("plain.corp:5000")]
    answer = node.Apply(
        v1.ApplyRequest(registries=pair, expected_revision=0, wait_for=v1.WAIT_FOR_IN_FORCE)
    )
    assert answer.revision == 1, answer
    assert [registry.host for registry in answer.registries] == ["harbor.corp", "plain.corp:5000"]
    states = {item.state for registry in answer.registries for item in registry.items}
    assert states == {v1.ItemStatus.STATE_IN_FORCE}, answer
    assert not answer.due, answer
    watcher.until("both are seen", lambda status: len(status.registries) == 2)
    settled = watcher.until("settled", lambda status: status.phase == v1.PHASE_SETTLED)
    assert settled.summary == "2 registries in force", settled.summary
    first_generation = answer.generation

    # The same again is no change.
    again = node.Apply(v1.ApplyRequest(registries=pair))
    assert (again.revision, again.generation) == (1, answer.generation), again

    # Errors say what is wrong, and where.
    wrong = [secure("good.corp"), v1.Registry(host="no host!", trust=v1.TRUST_CA, ca="no PEM")]
    found = refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_DECLARATION",
        lambda: node.Apply(v1.ApplyRequest(registries=wrong)),
    )
    fields = [violation.field for violation in found["BadRequest"].field_violations]
    assert fields and all(field.startswith("registries[1]") for field in fields), fields
    refused(
        grpc.StatusCode.ABORTED,
        "REVISION_CONFLICT",
        lambda: node.Apply(v1.ApplyRequest(registries=[], expected_revision=7)),
    )
    assert node.GetDesired(v1.GetDesiredRequest()).revision == 1

    # The runtimes themselves are asked. Nobody serves under these names, and that is what they say.
    checked = node.Check(v1.CheckRequest(hosts=["harbor.corp"]))
    verdicts = [item.proof.verdict for registry in checked.registries for item in registry.items]
    assert len(verdicts) == 2 and set(verdicts) == {v1.VERDICT_DNS}, checked

    # A trial that nobody confirms ends by itself.
    triple = pair + [secure("trial.corp")]
    trial = node.Apply(v1.ApplyRequest(registries=triple, try_for=Duration(seconds=3)))
    assert trial.revision == 2, trial
    began = time.monotonic()
    watcher.until("the trial", lambda status: "trial.corp" in hosts(status))
    watcher.until("its end", lambda status: "trial.corp" not in hosts(status))
    assert time.monotonic() - began >= 2, "it was taken back too early"
    refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOTHING_TO_CONFIRM",
        lambda: node.Confirm(v1.ConfirmRequest(revision=2)),
    )

    # And one that is confirmed stays.
    trial = node.Apply(v1.ApplyRequest(registries=triple, try_for=Duration(seconds=3)))
    node.Confirm(v1.ConfirmRequest(revision=trial.revision))
    time.sleep(5)
    status = node.GetStatus(v1.GetStatusRequest())
    assert "trial.corp" in hosts(status), status
    assert not status.owners[-1].on_trial and not status.owners[0].on_trial, status

    # Back to an earlier generation, visibly; and on again.
    rolled = node.Rollback(v1.RollbackRequest(generation=first_generation, reason="drill"))
    assert rolled.pin.generation == first_generation, rolled
    pinned = watcher.until("the pin", lambda status: status.HasField("pin"))
    standing = {registry.host: registry.standing for registry in pinned.registries}
    assert standing["trial.corp"] == v1.STANDING_PINNED_OUT, pinned
    node.Rollback(v1.RollbackRequest())
    watcher.until("no pin", lambda status: not status.HasField("pin"))

    # Nothing is wanted any more.
    node.Apply(v1.ApplyRequest(registries=[], wait_for=v1.WAIT_FOR_IN_FORCE))
    last = watcher.until(
        "nothing is left",
        lambda status: not status.registries and status.phase == v1.PHASE_SETTLED,
    )
    sequences = [status.sequence for status in watcher.heard]
    assert sequences == sorted(set(sequences)), sequences
    watcher.stream.cancel()
    print(f"{len(sequences)} statuses, generation {last.generation}")


main()
