"""An election shared with a node of the existing tool (lib/gopeer.py plays it): each takes over from the
other exactly."""

from lib.nodes import largest_gap
from lib.proc import wait_until

TTL = 2.0
KEY = "SR_t_S"


def shared_node(scene, source, target, **options):
    return scene.pair(source, target, count=1, election_key=KEY, **options)[0]


def copied(client, more, timeout=30.0):
    def at():
        return client.last_seq("S") if client.has_stream("S") else 0
    want = at() + more
    wait_until(lambda: at() >= want, timeout, f"copy {want}")


def target_stream(target):
    with target.client() as t:
        t.create_stream("S", "s.>")


def test_from_it_to_us_and_back(scene, source, target, finish):
    target_stream(target)
    bucket, t = scene.bucket(source), scene.client(target)
    bucket.create(TTL)
    w = scene.writer(source, rate=150)
    go = scene.go_peer(source, target, TTL)
    wait_until(lambda: go.copied > 50, 20, "copies by the other tool")
    node = shared_node(scene, source, target).start()
    e = node.wait_election("WORK", lambda e: e["leader"] == "GO-NODE")
    assert e["role"] == "standby" and bucket.holder(KEY) == "GO-NODE"
    go.stop()
    wait_until(lambda: node.role() == "leader", 5, "our turn")
    copied(t, 200)
    again = scene.go_peer(source, target, TTL)
    node.wait_election("WORK", lambda e: e["role"] == "leader")
    assert node.stop() == 0
    wait_until(lambda: again.leads, 10, "its turn")
    wait_until(lambda: again.copied > 50, 20, "copies by the other tool")
    node.start()
    again.stop()
    wait_until(lambda: node.role() == "leader", 5, "our turn again")
    copied(t, 100)
    finish(w, source, target)


def test_it_dies(scene, source, target, finish):
    """Its key expires like any other; it may have copied what it did not acknowledge: the target knows."""
    target_stream(target)
    bucket = scene.bucket(source)
    bucket.create(TTL)
    w = scene.writer(source, rate=150)
    go = scene.go_peer(source, target, TTL)
    wait_until(lambda: go.copied > 50, 20, "copies by the other tool")
    node = shared_node(scene, source, target).start()
    node.wait_election("WORK", lambda e: e["leader"] == "GO-NODE")
    go.bucket.delete = lambda key: None  # as if it had no time for it
    go.stop()
    wait_until(lambda: node.role() == "leader", TTL + 4, "our turn")
    finish(w, source, target)


def test_its_consumer_is_kept_at_our_position(scene, source, target, finish):
    """Where it goes on from if we stop or die: made anew at each hand-over and at most 5 s old."""
    target_stream(target)
    w = scene.writer(source, rate=150)
    node = shared_node(scene, source, target).start()
    wait_until(lambda: node.role() == "leader", 10, "a leader")
    node.wait_committed(100)

    def consumer():
        with source.client() as c:
            return next((x for x in c.consumers("S") if x["name"] == "SR_t"), None)
    made = wait_until(consumer, 10, "its consumer")
    config = made["config"]
    assert (config["ack_policy"], config["max_ack_pending"], config["ack_wait"]) == ("explicit", 1, 30 * 10**9)
    assert config["durable_name"] == "SR_t"
    start = config["opt_start_seq"]
    wait_until(lambda: (x := consumer()) and x["config"]["opt_start_seq"] > start, 10, "it moves with us")
    w.stop()
    with source.client() as c:
        last = c.last_seq("S")
    node.wait_committed(last)
    assert node.stop() == 0
    assert consumer()["config"]["opt_start_seq"] == last + 1
    finish(w, source, target)


def test_a_standby_of_it_that_ends(scene, source, target, finish):
    """It deletes the key when it ends, though we hold it: we stop at once and take it again."""
    target_stream(target)
    w = scene.writer(source, rate=150)
    node = shared_node(scene, source, target).start()
    wait_until(lambda: node.role() == "leader", 10, "a leader")
    term = node.election("WORK")["term"]
    t = scene.client(target)
    copied(t, 50)
    before = t.last_seq("S")
    go = scene.go_peer(source, target, TTL)
    go.stop()
    node.wait_election("WORK", lambda e: e["role"] == "leader" and e["term"] > term, 5)
    copied(t, 100)
    gap = largest_gap(finish(w, source, target), before)
    assert gap < 3, gap
