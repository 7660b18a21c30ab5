"""The harness itself: an auditor that cannot find a fault would make every other test worthless."""

import time

import pytest

from lib import audit
from lib.nats import Client, Stored, block, encode_publish
from lib.nkeys import Operator
from lib.nodes import SUPERVISOR, WORKER, largest_gap
from lib.proc import alive, wait_until
from lib.replicator import topic


def copy_of(m, seq, site="HERE", topic="t", **change):
    origin = b"Choria-SR-Source: S %d %s %s %d" % (m.seq, site.encode(), topic.encode(), m.time_ns // 10**6)
    headers = block(*audit.copied_lines(m.headers), origin)
    return Stored(**{"seq": seq, "subject": m.subject, "headers": headers, "data": m.data, "time_ns": 0,
                     **change})


@pytest.fixture
def messages():
    return [Stored(n, f"s.{n}", block(f"N: {n}") if n % 2 else b"", b"%d" % n, n * 10**9)
            for n in range(1, 21)]


def test_auditor_accepts_a_right_copy(messages):
    r = audit.Audit("S").run(messages, [copy_of(m, m.seq + 5) for m in messages])
    assert r.ok and r.copies == 20


@pytest.mark.parametrize("kind, spoil", [
    ("lost", lambda c: c.pop(3)),
    ("doubled", lambda c: c.append(c[4]._replace(seq=99))),
    ("reordered", lambda c: c.insert(2, c.pop(7))),
    ("changed", lambda c: c.append(c.pop()._replace(data=b"other"))),
    ("changed", lambda c: c.append(c.pop()._replace(subject="s.x"))),
    ("changed", lambda c: c.insert(0, c.pop(0)._replace(headers=c[0].headers.replace(b"N: 1", b"n: 1")))),
    ("changed", lambda c: c.insert(0, c.pop(0)._replace(headers=c[0].headers.replace(b"N: 1", b"N:1")))),
    ("extra", lambda c: c.append(Stored(99, "s.1", b"", b"", 0))),
])
def test_auditor_finds(messages, kind, spoil):
    copies = [copy_of(m, m.seq) for m in messages]
    spoil(copies)
    r = audit.Audit("S").run(messages, copies)
    assert getattr(r, kind), str(r)


def test_header_table():
    raw = block("Nats-Expected-Stream: S", "Nats-Msg-Id: 7", "Keep:", "keep: 2", "Nats-Trace-Only: true",
                "Nats-TTL:1h", "Choria-SR-Source: A 1 B c 2", "Nats-Rollup: all")
    assert audit.copied_lines(raw) == [
        b"Choria-SR-Msg-Id: 7", b"Keep:", b"keep: 2", b"Choria-SR-Nats-Trace-Only: true",
        b"Choria-SR-Nats-TTL:1h", b"Choria-SR-Previous-Source: A 1 B c 2"]


def test_subject_mapping():
    assert audit.map_subject("a.b.c", "p") == "p.a.b.c"
    assert audit.map_subject("a.b.c", "", "b") == "a.c"
    assert audit.map_subject("a.b.c", "p", "a.") == "p.b.c"


def test_client_reads_back_what_it_stored(source, scene):
    c = scene.client(source)
    raw = block("A:", "a:  two blanks ", "B: 1", "B: 2")
    c.js_publish("s.1", b"body\0\r\n", raw)
    c.js_publish("s.2", b"", b"")
    last = c.publish_many((f"s.{n}", b"x" * 100) for n in range(5000))
    assert last == 5002
    stored = c.read_stream("S")
    assert [m.seq for m in stored] == list(range(1, 5003))
    assert stored[0][:4] == (1, "s.1", raw, b"body\0\r\n")
    assert c.get_message("S", 1) == stored[0]
    assert c.consumers("S") == []


def test_server_keeps_its_store_over_a_restart(source, scene):
    c = scene.client(source)
    c.js_publish("s.1", b"x")
    source.restart()
    assert c.last_seq("S") == 1
    source.restart(kill=True)
    assert c.last_seq("S") == 1


def test_cluster_elects_anew(scene):
    cluster = scene.cluster()
    c = scene.client(cluster)
    c.create_stream("R", "r.>", replicas=3)
    cluster.wait_healthy("R")
    c.publish_many((f"r.{n}", b"x") for n in range(1000))
    first = cluster.leader("R")
    c.step_down("R")
    wait_until(lambda: cluster.leader("R") != first, 20, "another leader")
    assert c.last_seq("R") == 1000


def test_tls_server(scene, certs):
    s = scene.server(tls=certs, tls_verify=True)
    with s.client() as c:
        c.create_stream("S", "s.>")
        assert c.js_publish("s.1", b"x")["seq"] == 1


def test_server_with_an_operator(scene):
    s = scene.server(operator=scene.add(Operator()))
    with s.client() as c:
        c.create_stream("S", "s.>")
        assert c.js_publish("s.1", b"x")["seq"] == 1


def test_leaf_node_reaches_the_domain_of_its_hub(scene):
    hub = scene.server(domain="hub", leaf=True)
    leaf = scene.server(domain="leaf", hub=hub)
    with hub.client() as c:
        c.create_stream("S", "s.>")
        c.js_publish("s.1", b"x")
    with leaf.client(domain="hub") as c:
        assert c.last_seq("S") == 1


def test_link_delays_and_cuts(source, scene):
    link = scene.link(source, rtt_ms=100)
    c = scene.client(source)
    far = scene.add(Client(link.port))
    began = time.monotonic()
    far.flush()
    assert 0.095 < time.monotonic() - began < 0.3
    far.publish_many(((f"s.{n}", b"x" * 1000) for n in range(2000)), every=2000)
    assert c.last_seq("S") == 2000
    link.cut()
    with pytest.raises(ConnectionError):
        far.flush()


def test_link_lets_late_bytes_through_after_their_connection_died(source, scene):
    link = scene.link(source)
    old = scene.add(Client(link.port))
    link.freeze_now("up")
    old.send(encode_publish("s.late", b"x"))
    wait_until(lambda: link.stats()["up_bytes"] > 0)
    old.close()
    c = scene.client(source)
    new = scene.add(Client(link.port))
    new.js_publish("s.new", b"y")
    assert c.last_seq("S") == 1
    link.thaw()
    wait_until(lambda: c.last_seq("S") == 2, 5, "the late message")


@pytest.mark.parametrize("way", ["up", "down"])
def test_link_holds_half_a_tls_record(scene, certs, way):
    s = scene.server(tls=certs)
    link = scene.link(s)
    c = scene.add(Client(link.port, tls=certs.context()))
    c.flush()
    link.hold_half_record(way)
    with pytest.raises(TimeoutError):
        c.flush(timeout=0.5)
    link.thaw()
    c.flush()


def test_largest_gap():
    def at(*ms):
        return [Stored(n + 1, "s", b"", b"", t * 10**6) for n, t in enumerate(ms)]
    assert largest_gap(at(0, 10, 500, 510)) == 0.49
    assert largest_gap(at(0, 10, 500, 510), first=3) == 0.01
    assert largest_gap(at(5)) == 0


def test_bucket_keys_expire_and_are_conditional(source, scene):
    b = scene.bucket(source).create(1)
    first = b.create_key("K", b"one")
    assert first and b.create_key("K", b"two") is None and b.holder("K") == "one"
    second = b.update("K", b'{"a": 1}', first)
    assert second > first and b.update("K", b"x", first) is None and b.holder("K") == {"a": 1}
    wait_until(lambda: b.entry("K") is None, 5, "the end of the key")
    assert b.create_key("K", b"three")
    b.delete("K")
    assert b.holder("K") is None and b.entry("K").operation == "DEL"
    assert b.create_key("K", b"four")


def test_nodes_of_the_existing_tool_follow_one_another(source, target, scene, finish):
    """The player of the other tool: what two of them copy in turns is exact."""
    with target.client() as t:
        t.create_stream("S", "s.>")
    bucket = scene.bucket(source).create(1)
    w = scene.writer(source, rate=200)
    one = scene.go_peer(source, target, 1)
    wait_until(lambda: one.copied > 50, 10, "copies by one")
    two = scene.go_peer(source, target, 1, candidate="TWO")
    assert bucket.holder("SR_t_S") == "GO-NODE"
    one.stop()
    wait_until(lambda: two.copied > 50, 10, "copies by two")
    finish(w, source, target)


def test_children_of_a_replicator_are_found_by_role(source, target, scene):
    node = scene.node({"t": topic(source, target)}).start()
    node.wait_state("copying")
    assert [(p.role, p.name) for p in node.processes()] == [(SUPERVISOR, ""), (WORKER, "t_S")]
    assert node.pid_of(WORKER, "t_S") == node.worker_pid()
    pids = [p.pid for p in node.processes()]
    node.freeze(WORKER)
    node.kill_all()
    wait_until(lambda: not any(map(alive, pids)), 5, "their end")
