"""Targets that others write to as well, and sites that copy to each other."""

import pytest

from lib.audit import Audit, origin_of
from lib.nats import block
from lib.proc import wait_until
from lib.replicator import topic
from lib.writer import fill


@pytest.mark.parametrize("writers", ["auto", "shared"])
def test_beside_another_writer(scene, source, target, check_copy, writers):
    with target.client() as t:
        t.create_stream("S", ["s.>", "local.>"])
    other = scene.writer(target, "local", rate=300)
    fill(source, 5000)
    r = scene.replicate(source, target, target_writers=writers)
    r.wait_committed(5000)
    fill(source, 2000, first=5001)
    r.wait_committed(7000)
    other.stop()
    report = check_copy(source, target, shared=True, foreign_ok=True)
    assert report.copies == 7000 and report.foreign >= other.stored > 0


def test_exclusive_beside_a_writer_loses_and_doubles_nothing(scene, source, target):
    with target.client() as t:
        t.create_stream("S", ["s.>", "local.>"])
    fill(source, 500)
    r = scene.replicate(source, target, target_writers="exclusive")
    r.wait_committed(500)
    with target.client() as t:
        t.js_publish("local.1", b"x")
    fill(source, 500, first=501)
    r.wait_topic(lambda t: t["committed_seq"] == 1000 or t["state"] in ("halted", "holding"))
    with source.client() as s, target.client() as t:
        report = Audit("S", foreign_ok=True).run(s.read_stream("S"), t.read_stream("S"))
    assert not (report.doubled or report.changed), str(report)
    assert not report.lost or r.topic()["reason"], "what is not copied is said"
    # the one whose slot was taken is sent again, behind later ones
    assert len(report.reordered) <= 1 and (not report.reordered or r.wait_incident("exclusive"))


@pytest.mark.parametrize("writers", ["auto", "shared"])
def test_foreign_messages_amid_a_burst(scene, source, target, check_copy, writers):
    """Each takes a slot of the chain; the message that should have had it must not be lost with it."""
    with target.client() as t:
        t.create_stream("S", ["s.>", "local.>"])
    fill(source, 40_000)
    r = scene.replicate(source, target, target_writers=writers, rate_limit="15000/s")
    for seq in (3000, 9000, 15_000, 21_000, 27_000):
        r.wait_committed(seq)
        with target.client() as t:
            t.js_publish("local.1", b"x")
    r.wait_committed(40_000)
    r.wait_topic(lambda t: t["lag_msgs"] == 0)
    report = check_copy(source, target, shared=True, foreign_ok=True)
    assert (report.copies, report.foreign) == (40_000, 5)


@pytest.mark.parametrize("writers", ["auto", "shared"])
def test_two_sites_into_one_stream(scene, target, check_copy, writers):
    """Two supervisors, each with a topic of its own; kills of one do not disturb the other."""
    with target.client() as t:
        t.create_stream("FLEET", ["east.s.>", "west.s.>"])
    sites = {}
    for name in ("east", "west"):
        server = scene.server()
        with server.client() as c:
            c.create_stream("S", "s.>")
        fill(server, 3000)
        r = scene.replicate(server, target, top={"name": name.upper()}, target_stream="FLEET",
                            target_subject_prefix=name, target_writers=writers)
        sites[name] = (server, r)
    sites["east"][1].kill()
    sites["east"][1].start()
    for name, (server, r) in sites.items():
        fill(server, 500, first=3001)
    for name, (server, r) in sites.items():
        r.wait_committed(3500)
        check_copy(server, target, target_stream="FLEET", site=name.upper(), prefix=name, shared=True,
                   foreign_ok=True)


def test_two_topics_of_one_supervisor_into_one_stream(scene, source, target, check_copy):
    with source.client() as c:
        c.create_stream("T2", "t2.>")
    with target.client() as t:
        t.create_stream("ALL", ["s.>", "t2.>"])
    fill(source, 2000)
    fill(source, 2000, "t2")
    r = scene.prepare({
        "one": topic(source, target, "S", target_stream="ALL"),
        "two": topic(source, target, "T2", target_stream="ALL")}).start()
    for name, stream in (("one", "S"), ("two", "T2")):
        r.wait_committed(2000, name=name)
        check_copy(source, target, stream=stream, target_stream="ALL", topic=name, shared=True,
                   foreign_ok=True)


def test_shared_with_many_subjects(scene, source, target, check_copy):
    fill(source, 20_000, subjects=1000)
    r = scene.replicate(source, target, target_writers="shared")
    r.wait_committed(20_000)
    check_copy(source, target, shared=True)


def test_shared_after_kills(scene, source, target, check_copy):
    w = scene.writer(source, rate=2000, subjects=50)
    other = None
    r = scene.replicate(source, target, target_writers="shared")
    for seq in (1500, 3500, 5500):
        r.wait_committed(seq)
        r.kill()
        r.start()
        if other is None:
            with target.client() as t:
                t.update_stream("S", subjects=["s.>", "local.>"])
            other = scene.writer(target, "local", rate=100)
    w.stop()
    other.stop()
    with source.client() as c:
        r.wait_committed(c.last_seq("S"))
    check_copy(source, target, shared=True, foreign_ok=True)


def test_shared_copies_equal_message_ids(scene, source, target):
    """The duplicate window of the target must not swallow what the source kept."""
    with source.client() as c:
        c.create_stream("IDS", "i.>", duplicate_window=100_000_000)
        while c.last_seq("IDS") < 3:
            c.js_publish("i.1", b"x", block("Nats-Msg-Id: same"))
    r = scene.replicate(source, target, stream="IDS", target_writers="shared")
    r.wait_committed(3)
    with target.client() as t:
        assert t.state("IDS")["messages"] == 3


# ---- two-way -----------------------------------------------------------------------------------------


def two_way(scene, a, b, **options):
    """Sites A and B, each copying its stream to the other."""
    for server in (a, b):
        with server.client() as c:
            c.create_stream("S", ["a.>", "b.>"])
    return [
        scene.prepare({"to_b": topic(a, b, target_name="B", **options)}, name="A").start(),
        scene.prepare({"to_a": topic(b, a, target_name="A", **options)}, name="B").start()]


def own(m):
    return origin_of(m.headers) is None


def test_two_sites_that_copy_to_each_other(scene):
    a, b = scene.server(), scene.server()
    ra, rb = two_way(scene, a, b)
    fill(a, 2000, "a")
    fill(b, 1500, "b")
    ca, cb = scene.client(a), scene.client(b)

    def both_have_all():
        return ca.last_seq("S") == 3500 and cb.last_seq("S") == 3500
    wait_until(both_have_all, 40, "both have all")
    fill(a, 100, "a", first=2001)
    wait_until(lambda: cb.last_seq("S") == 3600, 20, "the later ones too")
    for r, name, loops in ((ra, "to_b", 1500), (rb, "to_a", 2100)):
        r.wait_topic(lambda t: t["lag_msgs"] == 0 and t["counters"]["loop_msgs"] == loops, name=name)
    sa, sb = ca.read_stream("S"), cb.read_stream("S")
    Audit("S", site="A", topic="to_b", wanted=own, shared=True, foreign_ok=True).check(sa, sb)
    Audit("S", site="B", topic="to_a", wanted=own, shared=True, foreign_ok=True).check(sb, sa)
    assert len(sa) == len(sb) == 3600, "nothing came back"


def test_three_sites_in_a_ring(scene):
    """Each message comes to each site once: the path stops it where it has been."""
    sites = {name: scene.server() for name in "ABC"}
    for server in sites.values():
        with server.client() as c:
            c.create_stream("S", "s.>")
    ring = {"A": "B", "B": "C", "C": "A"}
    replicators = [
        scene.prepare({"t": topic(sites[x], sites[y], target_name=y)}, name=x).start()
        for x, y in ring.items()]
    for n, server in enumerate(sites.values()):
        fill(server, 200, f"s.{n}")
    clients = [scene.client(s) for s in sites.values()]
    wait_until(lambda: all(c.last_seq("S") == 600 for c in clients), 40, "every site has all")
    for r in replicators:
        r.wait_topic(lambda t: t["lag_msgs"] == 0)
    for c in clients:
        stored = c.read_stream("S")
        assert len(stored) == 600
        assert len({(m.subject, m.data) for m in stored}) == 600
