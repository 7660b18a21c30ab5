"""A late publish of an old connection after the map from messages to slots has changed.

The chain fences slot numbers, not contents: such a publish may take a slot that now belongs to another
message. It must end as an incident, with nothing lost."""

import pytest

from lib.audit import Audit, origin_of
from lib.nats import block
from lib.proc import wait_until
from lib.replicator import wait_gone
from lib.writer import fill

WRITERS = pytest.mark.parametrize("writers", ["exclusive", "auto"])
BASE = 10


def fill_pairs(source, pairs):
    """s.a and s.b in turns."""
    with source.client() as c:
        for n in range(pairs):
            c.js_publish("s.a", b"a%d" % n)
            c.js_publish("s.b", b"b%d" % n)


def end(r):
    """The worker too: it settles for a while when its supervisor is gone."""
    pid = r.worker_pid()
    r.kill()
    wait_gone([pid])


def start_again_with_another_map(r):
    """Only s.b from now on, and so slowly that there is time between two messages."""
    r.topics["t"].update(filter_subject="s.b", rate_limit="2/s")
    r.write()
    r.start()


def audit(source, target):
    with source.client() as s, target.client() as t:
        return Audit("S").run(s.read_stream("S"), t.read_stream("S"))


def lost_of_b(report):
    return [x for x in report.lost if x[1] == "s.b"]


@WRITERS
def test_played_by_a_test(scene, source, target, writers):
    """The test sends what an old worker could have sent: source message 12 at slot 12."""
    fill(source, BASE)
    r = scene.replicate(source, target, target_writers=writers)
    r.wait_committed(BASE)
    wait_until(lambda: r.database("SELECT source_seq FROM checkpoint") == [(BASE,)], 10, "the checkpoint")
    end(r)
    fill_pairs(source, 5)  # 11 = a, 12 = b, 13 = a, …
    start_again_with_another_map(r)
    c, s = scene.client(target), scene.client(source)
    wait_until(lambda: c.last_seq("S") == BASE + 1, 20, "the first copy of the new map")
    assert origin_of(c.get_message("S", BASE + 1).headers).seq == 12
    stored = s.get_message("S", 12)
    late = c.js_publish("s.b", stored.data, block(
        f"Choria-SR-Source: S 12 HERE t {stored.time_ns // 10**6}",
        f"Nats-Expected-Last-Sequence: {BASE + 1}"))
    assert late["seq"] == BASE + 2
    r.wait_committed(20, timeout=40)
    report = audit(source, target)
    assert not lost_of_b(report) and not report.reordered and not report.changed, str(report)
    assert [x[0] for x in report.doubled] == [12], "only what the late publish itself doubled"
    assert r.wait_incident("12")


@WRITERS
def test_that_takes_the_slot_of_another_message(scene, source, target, writers):
    """The late one is not a repeat but a message that the new map leaves out."""
    fill(source, BASE)
    r = scene.replicate(source, target, target_writers=writers)
    r.wait_committed(BASE)
    wait_until(lambda: r.database("SELECT source_seq FROM checkpoint") == [(BASE,)], 10, "the checkpoint")
    end(r)
    fill_pairs(source, 5)
    start_again_with_another_map(r)
    c, s = scene.client(target), scene.client(source)
    wait_until(lambda: c.last_seq("S") == BASE + 1, 20, "the first copy of the new map")
    stored = s.get_message("S", 13)
    c.js_publish("s.a", stored.data, block(
        f"Choria-SR-Source: S 13 HERE t {stored.time_ns // 10**6}",
        f"Nats-Expected-Last-Sequence: {BASE + 1}"))
    r.wait_committed(20, timeout=40)
    report = audit(source, target)
    assert not lost_of_b(report) and not report.doubled and not report.changed, str(report)


@WRITERS
def test_of_a_real_old_connection(scene, source, target, writers):
    """The old worker's bytes are on their way when it dies, and arrive when its successor is at work."""
    link = scene.link(target)
    fill(source, BASE)
    r = scene.replicate(source, target, target_port=link.port, target_writers=writers)
    r.wait_committed(BASE)
    wait_until(lambda: r.database("SELECT source_seq FROM checkpoint") == [(BASE,)], 10, "the checkpoint")
    link.freeze_now("up")
    sent = link.stats()["up_bytes"]
    fill_pairs(source, 5)
    r.wait_topic(lambda t: (t["inflight"] or 0) > 0, 10, what="with messages on their way")
    end(r)
    assert link.stats()["up_bytes"] == sent
    start_again_with_another_map(r)
    c = scene.client(target)
    wait_until(lambda: c.last_seq("S") == BASE + 1, 20, "the first copy of the new map")
    link.thaw()
    r.wait_committed(20, timeout=40)
    report = audit(source, target)
    assert not lost_of_b(report) and not report.changed, str(report)
    if report.doubled:
        r.wait_incident(str(report.doubled[0][0]))
