"""Clusters of three servers with replicated streams at both ends."""

import pytest

from lib.nats import ApiError, NoResponders
from lib.proc import wait_until
from lib.writer import fill


@pytest.fixture
def east(scene):
    c = scene.cluster(name="E")
    with c.client() as client:
        client.create_stream("S", "s.>", replicas=3)
    c.wait_healthy("S")
    return c


@pytest.fixture
def west(scene):
    c = scene.cluster(name="W")
    with c.client() as client:
        client.create_stream("S", "s.>", replicas=3)
    c.wait_healthy("S")
    return c


def finish(scene, r, east, west, check_copy, writer=None, timeout=60.0):
    if writer:
        writer.stop()
    east.wait_healthy("S", 60)
    with east.client() as c:
        last = c.last_seq("S")
    r.wait_committed(last, timeout)
    west.wait_healthy("S", 60)
    return check_copy(east, west)


def replicate(scene, east, west, **options):
    return scene.prepare({"t": {"stream": "S", "source_url": east.url, "target_url": west.url,
                                **options}}).start()


def test_replicated_streams(scene, east, west, check_copy):
    fill(east, 20_000)
    r = replicate(scene, east, west)
    assert finish(scene, r, east, west, check_copy).copies == 20_000


def test_target_is_made_with_the_replicas_it_can_hold(scene, east, target, check_copy):
    fill(east, 100)
    r = replicate(scene, east, target)
    r.wait_committed(100)
    check_copy(east, target)
    with target.client() as t:
        assert t.stream_info("S")["config"]["num_replicas"] == 1


def test_target_is_made_with_replicas(scene, source, west, check_copy):
    with west.client() as c:
        c.delete_stream("S")
    fill(source, 100)
    r = replicate(scene, source, west)
    r.wait_committed(100)
    check_copy(source, west)


def step_down(cluster, stream="S"):
    first = cluster.leader(stream).name
    with cluster.client() as c:
        try:
            c.step_down(stream)
        except (ApiError, NoResponders, TimeoutError):
            pass  # an election was under way already
    return first


@pytest.mark.parametrize("side", ["source", "target"])
def test_leader_steps_down(scene, east, west, check_copy, side):
    cluster = east if side == "source" else west
    w = scene.writer(east, rate=1500)
    r = replicate(scene, east, west)
    for seq in (1000, 3000, 5000):
        r.wait_committed(seq)
        step_down(cluster)
    r.wait_committed(7000)
    finish(scene, r, east, west, check_copy, w)


@pytest.mark.parametrize("side", ["source", "target"])
def test_leader_is_killed(scene, east, west, check_copy, side):
    cluster = east if side == "source" else west
    w = scene.writer(east, rate=1000)
    r = replicate(scene, east, west)
    r.wait_committed(1000)
    leader = cluster.leader("S")
    leader.kill()
    r.wait_committed(3000, 90)
    leader.start()
    r.wait_committed(4000)
    finish(scene, r, east, west, check_copy, w, 90)


def test_leader_of_the_consumer_steps_down(scene, east, west, check_copy):
    w = scene.writer(east, rate=1000)
    r = replicate(scene, east, west)
    c = scene.client(east)
    for seq in (1000, 2500):
        r.wait_committed(seq)
        name = c.consumers("S")[0]["name"]
        c.api_retry(f"CONSUMER.LEADER.STEPDOWN.S.{name}")
    r.wait_committed(4000)
    finish(scene, r, east, west, check_copy, w)


@pytest.mark.parametrize("side", ["source", "target"])
def test_server_we_are_connected_to_is_killed(scene, east, west, check_copy, side):
    cluster = east if side == "source" else west
    w = scene.writer(east, rate=1000)
    r = replicate(scene, east, west)
    r.wait_committed(500)
    server = connected_server(cluster)
    server.kill()
    r.wait_committed(3000, 90)
    server.start()
    finish(scene, r, east, west, check_copy, w, 90)
    assert r.topic()["restarts"] == 0


def connected_server(cluster):
    """The server that has the replicator's connection."""
    def look():
        for s in cluster.running():
            for c in s.monitor("connz").get("connections", []):
                if c.get("name") and c["name"] != "test":
                    return s
        return None
    return wait_until(look, 10, "the server with our connection")


def test_target_without_quorum(scene, east, west, check_copy):
    """Two of three are gone: nothing can be stored; then they come back."""
    w = scene.writer(east, rate=500)
    r = replicate(scene, east, west)
    r.wait_committed(500)
    dead = [s for s in west.servers if s is not connected_server(west)][:2]
    for s in dead:
        s.kill()
    r.wait_topic(lambda t: t["state"] != "copying" or t["lag_msgs"] > 500, 40, what="behind")
    for s in dead:
        s.start()
    finish(scene, r, east, west, check_copy, w, 90)


@pytest.mark.parametrize("side", ["source", "target"])
def test_peer_is_removed(scene, check_copy, side):
    """Four servers, so that a replica can move to the one that has none."""
    def make(name):
        cluster = scene.cluster(name=name, size=4 if name == side else 3)
        with cluster.client() as c:
            c.create_stream("S", "s.>", replicas=3)
        cluster.wait_healthy("S")
        return cluster
    east, west = make("source"), make("target")
    cluster = east if side == "source" else west
    w = scene.writer(east, rate=1000)
    r = replicate(scene, east, west)
    r.wait_committed(1500)
    with cluster.client() as c:
        c.peer_remove("S", cluster.leader("S").name)
    r.wait_committed(5000, 90)
    finish(scene, r, east, west, check_copy, w, 90)


def test_lame_duck(scene, east, west, check_copy):
    """A server that is about to go says so, and the connection moves before it does."""
    w = scene.writer(east, rate=500)
    r = replicate(scene, east, west)
    r.wait_committed(500)
    server = connected_server(west)
    server.lame_duck()
    wait_until(lambda: connected_server(west) is not server, 15, "a connection to another server")
    r.wait_committed(1500)
    w.stop()
    with east.client() as c:
        r.wait_committed(c.last_seq("S"), 60)
    wait_until(lambda: not server.running(), 60, "the lame duck's end")
    server.start()
    west.wait_healthy("S", 60)
    check_copy(east, west)


def test_whole_target_restarts_one_by_one(scene, east, west, check_copy):
    w = scene.writer(east, rate=500)
    r = replicate(scene, east, west)
    r.wait_committed(500)
    for s in west.servers:
        s.restart()
        west.wait_healthy("S", 60)
    finish(scene, r, east, west, check_copy, w, 90)
