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


# ---- elections in a cluster ------------------------------------------------------------------------

BUCKET = "KV_CHORIA_LEADER_ELECTION"


def elected(scene, east, west, ttl="4s", **options):
    """A pair whose bucket is in the source's cluster, at work under load; the bucket on all its servers."""
    w = scene.writer(east, rate=300)
    team = scene.pair(east, west, ttl=ttl, **options).start()
    team.settled()
    with east.client() as c:
        assert c.stream_info(BUCKET)["config"]["num_replicas"] == 3
    copies(west, 100)
    return team, w


def copies(cluster, more, timeout=60.0):
    """So many more arrive, whoever copies them."""
    def count():
        try:
            with cluster.client() as c:
                return c.state("S")["messages"] if c.has_stream("S") else 0
        except (ApiError, NoResponders, TimeoutError, OSError):
            return 0
    want = count() + more
    wait_until(lambda: count() >= want, timeout, f"copy {want}", every=0.2)


def finish_elected(team, w, east, west, finish, timeout=60.0):
    """One leads, all else stand by, and the copy is exact."""
    for cluster in (east, west):
        cluster.wait_healthy("S", timeout)
    east.wait_healthy(BUCKET, timeout)
    team.settled(timeout=timeout)
    return finish(w, east, west, timeout=timeout)


@pytest.mark.parametrize("end", ["steps down", "dies"])
@pytest.mark.parametrize("what", [BUCKET, "S"], ids=["bucket", "source"])
def test_elected_while_a_leader_of_the_source_goes(scene, east, west, finish, what, end):
    """Terms may end meanwhile; nothing else may happen."""
    team, w = elected(scene, east, west)
    server = east.leader(what)
    if end == "steps down":
        step_down(east, what)
    else:
        server.kill()
    copies(west, 500)
    if end == "dies":
        server.start()
    finish_elected(team, w, east, west, finish)


def test_elected_while_the_meta_leader_goes(scene, east, west, finish):
    team, w = elected(scene, east, west)
    with east.client() as c:
        try:
            c.api("META.LEADER.STEPDOWN", timeout=3.0)
        except (ApiError, TimeoutError):
            pass  # newer servers listen to the system account alone; its death follows
    copies(west, 300)
    server = east.by_name(wait_until(east.meta_leader, 30, "a meta leader"))
    server.kill()
    team.wait_leader(timeout=40).kill_all()
    copies(west, 300)
    server.start()
    for node in team:
        if not node.running():
            node.start()
    finish_elected(team, w, east, west, finish)


def test_node_dies_with_the_server_of_the_bucket(scene, east, west, finish):
    """Both at once: the key expires on servers that are electing themselves."""
    team, w = elected(scene, east, west)
    leader = team.wait_leader()
    server = east.leader(BUCKET)
    server.kill()
    leader.kill_all()
    assert team.wait_leader(but=leader, timeout=40)
    copies(west, 300)
    server.start()
    leader.start()
    finish_elected(team, w, east, west, finish)


def test_peer_of_the_bucket_is_removed(scene, west, finish):
    """Four servers, so that the bucket can move to the one that has none of it."""
    east = scene.cluster(name="E", size=4)
    with east.client() as c:
        c.create_stream("S", "s.>", replicas=3)
    east.wait_healthy("S")
    team, w = elected(scene, east, west)
    with east.client() as c:
        c.peer_remove(BUCKET, east.leader(BUCKET).name)
    copies(west, 500)
    finish_elected(team, w, east, west, finish)


def test_servers_come_and_go(scene, west, finish):
    """A full mesh. The one server that is configured goes for good: the others, one of them younger than
    the connection, are known from the servers themselves, and one that goes is left."""
    east = scene.cluster(name="E")
    with east.client() as c:
        c.create_stream("S", "s.>", replicas=3)
    east.wait_healthy("S")
    first = east.join(jetstream=False)
    w = scene.writer(east, rate=300)
    team = scene.team(2, {"t": {"stream": "S", "source_url": first.url, "target_url": west.url,
                                "leader_election_name": "WORK"}}, election={"ttl": "4s"}).start()
    team.settled()
    copies(west, 100)
    last = east.join(jetstream=False)
    first.stop()
    east.servers.remove(first)
    scene.add(first)
    copies(west, 300)
    team.settled()
    for _ in range(2):
        server = connected_server(east)
        server.stop()
        wait_until(lambda: connected_server(east) is not server, 20, "a connection to another server")
        copies(west, 200)
        server.start()
        east.wait_healthy("S", 60)
    assert last.running()
    finish_elected(team, w, east, west, finish)


@pytest.mark.parametrize("end", ["steps down", "dies"])
def test_elected_while_a_leader_of_the_target_goes(scene, east, west, finish, end):
    """The copier's trouble is not the election's: the term stays."""
    team, w = elected(scene, east, west)
    leader = team.wait_leader()
    term = leader.election("WORK")["term"]
    server = west.leader("S")
    if end == "steps down":
        step_down(west)
    else:
        server.kill()
    copies(west, 500)
    if end == "dies":
        server.start()
    assert team.wait_leader() is leader and leader.election("WORK")["term"] == term
    finish_elected(team, w, east, west, finish)
