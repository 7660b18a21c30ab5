"""The source side: its consumer, its identity, other retention policies, limits, gaps."""

import pytest

from lib import server
from lib.audit import Audit, origin_of
from lib.nats import ApiError
from lib.proc import wait_until
from lib.writer import fill, numbered


def our_consumer(client, stream="S"):
    names = [c["name"] for c in client.consumers(stream)]
    assert len(names) == 1, names
    return names[0]


# ---- consumer ----------------------------------------------------------------------------------------


def test_deleted_consumer_is_made_again(scene, source, target, check_copy):
    fill(source, 500)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    c = scene.client(source)
    for n in range(3):
        c.delete_consumer("S", our_consumer(c))
        last = fill(source, 100, first=501 + 100 * n)
        r.wait_committed(last)
    check_copy(source, target)


def test_consumer_that_somebody_made_anew(scene, source, target, check_copy):
    """Same name, another start: it would pass over what is stored now."""
    fill(source, 500)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    c = scene.client(source)
    name = our_consumer(c)
    c.delete_consumer("S", name)
    fill(source, 100, first=501)
    config = {"durable_name": name, "deliver_policy": "new", "ack_policy": "explicit", "max_ack_pending": 5}
    try:
        c.api(f"CONSUMER.DURABLE.CREATE.S.{name}", {"stream_name": "S", "config": config})
    except ApiError:
        pass  # the worker was faster
    last = fill(source, 100, first=601)
    r.wait_committed(last)
    check_copy(source, target)


def test_deleted_consumer_while_copying(scene, source, target, check_copy):
    w = scene.writer(source, rate=2000)
    r = scene.replicate(source, target)
    c = scene.client(source)
    for seq in (1000, 2500, 4000):
        r.wait_committed(seq)
        for one in c.consumers("S"):
            c.delete_consumer("S", one["name"])
    w.stop()
    r.wait_committed(c.last_seq("S"))
    check_copy(source, target)


def test_consumer_is_named_after_the_topic(scene, source, target):
    fill(source, 1)
    r = scene.replicate(source, target, name="my_consumer")
    r.wait_committed(1)
    with source.client() as c:
        assert our_consumer(c) == "my_consumer"


def test_source_is_acknowledged(scene, source, target):
    """So that the server's own views tell how far the copy is."""
    last = fill(source, 3000)
    r = scene.replicate(source, target)
    r.wait_committed(last)
    with source.client() as c:
        wait_until(lambda: c.consumers("S")[0]["ack_floor"]["stream_seq"] == last, 10, "the ack floor")


@pytest.mark.parametrize("limit", [7, 100])
def test_lowered_limit_of_pending_acknowledgements(scene, target, check_copy, limit):
    source = scene.server(js_extra=f"limits {{ max_ack_pending: {limit} }}")
    with source.client() as c:
        c.create_stream("S", "s.>")
    fill(source, 2000)
    r = scene.replicate(source, target)
    r.wait_committed(2000)
    check_copy(source, target)


def test_limit_of_pending_acknowledgements_of_the_stream(scene, source, target, check_copy):
    if server.version() < (2, 10, 0):
        return  # such streams have no limits for their consumers
    with source.client() as c:
        c.create_stream("LIM", "l.>", consumer_limits={"max_ack_pending": 20})
    fill(source, 2000, "l")
    r = scene.replicate(source, target, stream="LIM")
    r.wait_committed(2000)
    check_copy(source, target, stream="LIM")


# ---- work queue and interest -------------------------------------------------------------------------


def drain(scene, source, target, retention, kills=0, count=1500):
    """Copies a stream of which acknowledged messages vanish; returns what was stored and the copies."""
    c = scene.client(source)
    c.create_stream("W", "w.>", retention=retention)
    r = scene.replicate(source, target, stream="W", **({"rate_limit": "1000/s"} if kills else {}))
    r.wait_state("copying")
    c.publish_many(numbered(n, "w") for n in range(1, count + 1))
    for n in range(kills):
        r.wait_committed((n + 1) * count // (kills + 2))
        r.kill()
        r.start()
    wait_until(lambda: c.state("W")["messages"] == 0, 40, "all are acknowledged")
    with target.client() as t:
        return [numbered(n, "w") for n in range(1, count + 1)], t.read_stream("W")


@pytest.mark.parametrize("kills", [0, 3])
@pytest.mark.parametrize("retention", ["workqueue", "interest"])
def test_streams_that_lose_what_is_acknowledged(scene, source, target, retention, kills):
    stored, copies = drain(scene, source, target, retention, kills)
    assert [origin_of(m.headers).seq for m in copies] == list(range(1, len(stored) + 1))
    assert [(m.subject, m.data) for m in copies] == [m[:2] for m in stored]


def test_work_queue_that_was_filled_before(scene, source, target):
    c = scene.client(source)
    c.create_stream("W", "w.>", retention="workqueue")
    c.publish_many(numbered(n, "w") for n in range(1, 501))
    r = scene.replicate(source, target, stream="W")
    r.wait_committed(500)
    wait_until(lambda: c.state("W")["messages"] == 0, 20, "all are acknowledged")
    with target.client() as t:
        assert [m.data for m in t.read_stream("W")] == [numbered(n, "w")[1] for n in range(1, 501)]


def test_interest_stream_keeps_for_us_while_we_are_down(scene, source, target):
    c = scene.client(source)
    c.create_stream("W", "w.>", retention="interest")
    r = scene.replicate(source, target, stream="W")
    r.wait_state("copying")
    c.publish_many(numbered(n, "w") for n in range(1, 101))
    r.wait_committed(100)
    r.stop()
    c.publish_many(numbered(n, "w") for n in range(101, 201))
    r.start()
    r.wait_committed(200)
    with target.client() as t:
        assert t.last_seq("W") == 200


def test_held_work_queue_is_not_redelivered_into_doubles(scene, source, target):
    c = scene.client(source)
    c.create_stream("W", "w.>", retention="workqueue")
    c.publish_many(numbered(n, "w") for n in range(1, 201))
    with target.client() as t:
        t.create_stream("W", "w.>", discard="new", max_msgs=50)
    r = scene.replicate(source, target, stream="W")
    r.wait_state("holding")
    with target.client() as t:
        t.update_stream("W", max_msgs=-1)
    r.wait_committed(200)
    with target.client() as t:
        assert [origin_of(m.headers).seq for m in t.read_stream("W")] == list(range(1, 201))


# ---- identity and gaps -------------------------------------------------------------------------------


def remake_source(source, count):
    with source.client() as c:
        c.delete_stream("S")
        c.create_stream("S", "s.>")
    fill(source, count, first=10_001)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_source_made_anew_halts(scene, source, target, running):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    if not running:
        r.stop()
    remake_source(source, 150)
    if not running:
        r.start()
    assert r.wait_state("halted", 40)["reason"]
    r.wait_incident("source")
    with target.client() as t:
        assert t.last_seq("S") == 100, "nothing of the new stream was taken for a continuation"


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_source_made_anew_restarts(scene, source, target, running):
    fill(source, 100)
    r = scene.replicate(source, target, on_source_reset="restart")
    r.wait_committed(100)
    if not running:
        r.stop()
    remake_source(source, 150)
    if not running:
        r.start()
    t = scene.client(target)
    wait_until(lambda: t.last_seq("S") == 250, 40, "the new stream is copied from its start")
    r.wait_incident("source")
    with source.client() as c:
        Audit("S").check(c.read_stream("S"), t.read_stream("S", start=101))


def test_expired_before_copy_is_an_incident(scene, source, target):
    """Messages that vanished between what was copied and what is there."""
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    r.stop()
    fill(source, 100, first=101)
    with source.client() as c:
        c.purge("S", seq=151)
    r.start()
    r.wait_committed(200)
    assert "150" in r.wait_incident("101")[0][1], "the incident gives the range"
    assert r.topic()["counters"]["gap_expired_msgs"] == 50


def test_source_that_does_not_exist_yet(scene, source, target):
    r = scene.replicate(source, target, stream="LATER")
    reason = r.wait_topic(lambda t: t["reason"])["reason"]
    assert "LATER" in reason
    with source.client() as c:
        c.create_stream("LATER", "later.>")
    fill(source, 20, "later")
    if r.topic()["state"] == "halted":
        r.command("restart", "t", check=True)
    r.wait_committed(20)
