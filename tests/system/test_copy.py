"""What is copied is what was stored: bytes, headers, order, once."""

import pytest

from lib import odd, server
from lib.audit import origin_of
from lib.nats import block
from lib.replicator import topic
from lib.writer import fill


def test_odd_messages_byte_for_byte(scene, source, target, check_copy):
    with source.client() as c:
        if server.version() >= (2, 11, 0):
            c.update_stream("S", allow_msg_ttl=True)
        count = odd.store(c)
    assert count >= 32
    r = scene.replicate(source, target)
    r.wait_committed(count)
    assert check_copy(source, target, accepts=("nats-ttl",) if kept_ttl(target) else ()).copies == count


def kept_ttl(target):
    """A target made from a source with per-message TTL may take it, and then it is kept as it was."""
    with target.client() as c:
        message = c.get_message("S", last_by_subj="s.ttl")
    return b"\r\nNats-TTL" in message.headers


def test_many_messages_in_order(scene, source, target, check_copy):
    last = fill(source, 30_000)
    r = scene.replicate(source, target)
    r.wait_committed(last)
    assert check_copy(source, target).copies == 30_000
    t = r.topic()
    assert (t["lag_msgs"], t["source_last_seq"], t["target_seq"]) == (0, last, last)
    assert t["copied"] == 30_000 and t["failed"] == 0 and t["restarts"] == 0


def test_large_messages(scene, source, target, check_copy):
    last = fill(source, 150, size=500_000)
    scene.replicate(source, target).wait_committed(last)
    check_copy(source, target)


def test_messages_that_come_while_it_runs(scene, source, target, check_copy):
    r = scene.replicate(source, target)
    r.wait_state("copying")
    w = scene.writer(source, rate=3000)
    r.wait_committed(6000)
    w.stop()
    with source.client() as c:
        last = c.last_seq("S")
    r.wait_committed(last)
    check_copy(source, target)


def test_one_message_at_a_time(scene, source, target):
    r = scene.replicate(source, target)
    r.wait_state("copying")
    c, t = scene.client(source), scene.client(target)
    arrived = t.subscribe("s.>")
    t.flush()
    for n in range(20):
        c.js_publish(f"s.{n}", b"%d" % n)
        assert t.next(arrived, 2.0).data == b"%d" % n


def test_equal_message_ids_are_both_copied(scene, source, target, check_copy):
    """The source stored both: its duplicate window was shorter than the time between them."""
    c = scene.client(source)
    c.create_stream("IDS", "i.>", duplicate_window=100_000_000)
    while c.last_seq("IDS") < 3:
        c.js_publish("i.1", b"%d" % c.last_seq("IDS"), block("Nats-Msg-Id: same"))
    r = scene.replicate(source, target, stream="IDS")
    r.wait_committed(3)
    assert check_copy(source, target, stream="IDS").copies == 3


def test_rollups_of_the_source_stay_there(scene, source, target, check_copy):
    c = scene.client(source)
    c.create_stream("ROLL", "r.>", allow_rollup_hdrs=True)
    for n in range(5):
        c.js_publish(f"r.{n}", b"x")
    c.js_publish("r.1", b"y", block("Nats-Rollup: sub", "Keep: me"))
    r = scene.replicate(source, target, stream="ROLL")
    r.wait_committed(6)
    check_copy(source, target, stream="ROLL")
    with target.client() as t:
        assert t.state("ROLL")["messages"] == 5  # seq 2 was rolled up before it could be copied
    c.js_publish("r.4", b"z", block("Nats-Rollup: sub"))
    r.wait_committed(7)
    with target.client() as t:
        assert t.state("ROLL")["messages"] == 6


def test_rollups_pass_where_they_are_wanted(scene, source, target):
    c = scene.client(source)
    c.create_stream("ROLL", "r.>", allow_rollup_hdrs=True)
    r = scene.replicate(source, target, stream="ROLL", pass_rollup=True)
    c.js_publish("r.1", b"x")
    c.js_publish("r.2", b"x")
    r.wait_committed(2)
    c.js_publish("r.1", b"y", block("Nats-Rollup: sub"))
    r.wait_committed(3)
    with target.client() as t:
        stored = t.read_stream("ROLL")
    assert [(m.subject, m.data) for m in stored] == [("r.2", b"x"), ("r.1", b"y")]


def test_origin_names_the_source(scene, source, target):
    fill(source, 3)
    r = scene.replicate(source, target, top={"name": "US-EAST"})
    r.wait_committed(3)
    with source.client() as s, target.client() as t:
        stored = s.get_message("S", 2)
        origin = origin_of(t.get_message("S", 2).headers)
    assert origin == ("S", 2, "US-EAST", "t", stored.time_ns // 1_000_000)


def test_gaps_in_the_source(scene, source, target, check_copy):
    """Messages deleted inside a stream, and a stream that does not begin at 1."""
    fill(source, 1000)
    with source.client() as c:
        c.purge("S", seq=101)
        for seq in [*range(300, 400), 1000]:
            c.delete_message("S", seq)
    fill(source, 100, first=1001)
    r = scene.replicate(source, target)
    r.wait_committed(1100)
    assert check_copy(source, target).copies == 899


def test_source_that_ends_with_deleted_messages_is_not_lagging(scene, source, target):
    fill(source, 100)
    with source.client() as c:
        for seq in range(91, 101):
            c.delete_message("S", seq)
    r = scene.replicate(source, target)
    r.wait_committed(90)
    r.wait_topic(lambda t: t["lag_msgs"] == 0 and t["state"] == "copying", 20, what="without lag")


@pytest.mark.parametrize("storage", ["memory", "file"])
def test_several_topics_between_two_servers(scene, source, target, check_copy, storage):
    topics = {}
    with source.client() as c:
        for n in range(6):
            c.create_stream(f"T{n}", f"t{n}.>", storage=storage)
            topics[f"t{n}"] = topic(source, target, f"T{n}")
    r = scene.prepare(topics).start()
    for n in range(6):
        fill(source, 500, f"t{n}")
    for n in range(6):
        r.wait_committed(500, name=f"t{n}")
        check_copy(source, target, stream=f"T{n}", topic=f"t{n}")


def test_streams_without_acknowledgements_are_read_too(scene, source, target, check_copy):
    c = scene.client(source)
    c.create_stream("QUIET", "q.>", no_ack=True)
    for n in range(20):
        c.publish(f"q.{n}", b"x")
    c.flush()
    r = scene.replicate(source, target, stream="QUIET")
    r.wait_committed(20)
    check_copy(source, target, stream="QUIET")
