"""Heartbeats: what is published, how often, and by whom when two nodes could."""

import time

from lib.nats import header_get
from lib.proc import wait_until
from lib.replicator import topic


def with_stream(scene):
    server = scene.server()
    with server.client() as c:
        c.create_stream("HB", "hb.>")
    return server


def beats(server, subject="hb.a"):
    with server.client() as c:
        return [m for m in c.read_stream("HB") if m.subject == subject]


def wait_beats(server, count, subject="hb.a", timeout=20.0):
    return wait_until(lambda: len(b := beats(server, subject)) >= count and b, timeout,
                      f"{count} beats of {subject}", every=0.2)


def distances(messages):
    return [(b.time_ns - a.time_ns) / 1e9 for a, b in zip(messages, messages[1:])]


def test_what_a_beat_is(scene):
    server = with_stream(scene)
    r = scene.prepare({}, heartbeat={
        "url": server.url, "interval": "1s", 'header "Site"': {"value": "one"}, 'header "Both"': {"value": "outer"},
        'subject "hb.a"': {'header "Both"': {"value": "inner"}}, 'subject "hb.b"': {"interval": "2s"}}).start()
    m = wait_beats(server, 3)[-1]
    assert abs(int(m.data) - m.time_ns / 1e9) < 2
    assert header_get(m.headers, "Choria-SR-Originator") == r.status()["node"]
    assert header_get(m.headers, "Choria-SR-Subject") == "hb.a"
    assert (header_get(m.headers, "Site"), header_get(m.headers, "Both")) == ("one", "inner")
    assert all(0.7 < d < 1.5 for d in distances(beats(server))), distances(beats(server))
    b = wait_beats(server, 2, "hb.b")
    assert 1.6 < distances(b)[0] < 2.6 and header_get(b[0].headers, "Both") == "outer"
    assert r.stop() == 0


def test_beats_through_a_restart_of_the_server(scene):
    server = with_stream(scene)
    r = scene.prepare({}, heartbeat={"url": server.url, "interval": "1s", 'subject "hb.a"': {}}).start()
    wait_beats(server, 2)
    server.restart(kill=True)
    count = len(beats(server))
    wait_beats(server, count + 2)
    assert r.status()["ok"]


def two_nodes(scene, server, **topics):
    return scene.team(2, topics, election={"ttl": "2s", "url": server.url}, heartbeat={
        "url": server.url, "interval": "1s", "leader_election": True, 'subject "hb.a"': {}}).start()


def test_one_of_two_nodes_beats(scene):
    server = with_stream(scene)
    team = two_nodes(scene, server)
    wait_beats(server, 5)
    seen = distances(beats(server))
    assert all(d > 0.6 for d in seen), f"two beat: {seen}"
    bucket = scene.bucket(server)
    held = bucket.holder("SR_HERE_HB")
    assert held, "the key of the existing tool's heartbeats"
    leader = next(n for n in team if any(e["role"] == "leader" for e in n.status()["elections"]))
    count = len(beats(server))
    leader.kill_all()
    wait_beats(server, count + 4)
    seen = distances(beats(server))
    assert all(d > 0.6 for d in seen), f"two beat: {seen}"
    # the TTL, what a crash costs, and a beat
    assert max(seen) < 2 + 1.5 + 1 + 1, seen


def test_beats_beside_an_elected_topic(scene, source, target, finish):
    """One elector serves both names; the names are led each by itself."""
    with source.client() as c:
        c.create_stream("HB", "hb.>")
    w = scene.writer(source, rate=200)
    team = two_nodes(scene, source, t=topic(source, target, leader_election_name="WORK"))
    leader = team.wait_leader()
    wait_beats(source, 2)
    assert len(leader.status()["elections"]) == 2
    leader.stop()
    team.wait_leader(but=leader)
    count = len(beats(source))
    wait_beats(source, count + 2)
    # each has its own place in the second, so that one distance may be short
    assert sum(d < 0.6 for d in distances(beats(source))) <= 1
    finish(w, source, target)


def test_a_reload_changes_the_beats(scene):
    server = with_stream(scene)
    r = scene.prepare({}, heartbeat={"url": server.url, "interval": "1s", 'subject "hb.a"': {}}).start()
    wait_beats(server, 1)
    r.top["heartbeat"] = {"url": server.url, "interval": "1s", 'subject "hb.b"': {}}
    r.write()
    r.command("reload", check=True)
    wait_beats(server, 1, "hb.b")
    count = len(beats(server))
    wait_beats(server, 3, "hb.b")
    assert len(beats(server)) == count
    del r.top["heartbeat"]
    r.topics = {"t": topic(server, server, "HB", target_stream="X", target_subject_prefix="x")}
    r.write()
    r.command("reload", check=True)
    r.wait_state("copying")
    time.sleep(0.5)
    count = len(beats(server, "hb.b"))
    time.sleep(1.5)  # that there is no beat can only be seen by waiting
    assert len(beats(server, "hb.b")) == count


def test_over_tls(scene, certs):
    """The same bytes in the headers, with the section's own files."""
    server = scene.server(tls=certs)
    with server.client() as c:
        c.create_stream("HB", "hb.>")
    r = scene.prepare({}, heartbeat={
        "url": server.url.replace("nats://", "tls://"), "interval": "500ms", "tls": {"ca": certs.ca},
        'header "Colour"': {"value": "red: x "}, 'subject "hb.a"': {}}).start()
    m = wait_beats(server, 3)[-1]
    node = r.status()["node"]
    assert m.headers == (f"NATS/1.0\r\nChoria-SR-Originator: {node}\r\nChoria-SR-Subject: hb.a\r\n"
                         "Colour: red: x \r\n\r\n").encode(), m.headers
    assert r.status()["heartbeat"]["errors"] == 0
