"""Where a copy begins when nothing is at the target yet, and how old a message may be."""

import time

import pytest

from lib.nats import rfc3339
from lib.proc import wait_until
from lib.writer import fill

OLD, NEW = 40, 10


@pytest.fixture
def aged(source):
    """S with 40 old messages, a pause, and 10 new ones; gives the time in the pause."""
    fill(source, OLD)
    time.sleep(3)  # the age of messages is what is tested
    middle = time.time()
    time.sleep(0.1)
    fill(source, NEW, first=OLD + 1)
    return middle


def copied(r, target, last):
    r.wait_committed(last)
    with target.client() as t:
        return t.state("S")["messages"]


def test_everything(scene, source, target):
    fill(source, OLD)
    assert copied(scene.replicate(source, target), target, OLD) == OLD


def test_sequence(scene, source, target, check_copy):
    fill(source, OLD)
    r = scene.replicate(source, target, start_sequence=31)
    assert copied(r, target, OLD) == 10
    check_copy(source, target, wanted=lambda m: m.seq >= 31)


def test_sequence_beyond_the_end_begins_there(scene, source, target):
    fill(source, OLD)
    r = scene.replicate(source, target, start_sequence=OLD + 3)
    r.wait_state("copying")
    fill(source, 5, first=OLD + 1)
    assert copied(r, target, OLD + 5) == 3


def test_time(scene, source, target, aged):
    r = scene.replicate(source, target, start_time=rfc3339(aged))
    assert copied(r, target, OLD + NEW) == NEW


def test_delta(scene, source, target, aged):
    delta = int((time.time() - aged) * 1000)
    r = scene.replicate(source, target, start_delta=f"{delta + 300}ms")
    assert copied(r, target, OLD + NEW) == NEW


def test_end(scene, source, target):
    fill(source, OLD)
    r = scene.replicate(source, target, start_at_end=True)
    r.wait_topic(lambda t: t["state"] == "copying" and t["lag_msgs"] == 0)
    fill(source, 7, first=OLD + 1)
    assert copied(r, target, OLD + 7) == 7


def test_a_start_counts_only_once(scene, source, target, check_copy):
    """Afterwards the target says where to go on."""
    fill(source, OLD)
    r = scene.replicate(source, target, start_at_end=True)
    r.wait_topic(lambda t: t["state"] == "copying" and t["lag_msgs"] == 0)
    fill(source, 5, first=OLD + 1)
    r.wait_committed(OLD + 5)
    r.stop()
    fill(source, 5, first=OLD + 6)
    r.start()
    assert copied(r, target, OLD + 10) == 10
    check_copy(source, target, wanted=lambda m: m.seq > OLD)


def test_max_age_passes_over_older_messages(scene, source, target, aged):
    age = time.time() - aged
    r = scene.replicate(source, target, max_age=f"{int(age * 1000) + 1500}ms")
    r.wait_topic(lambda t: t["lag_msgs"] == 0 and t["copied"] >= NEW)
    with target.client() as t:
        stored = t.read_stream("S")
    assert len(stored) == NEW, "only the new ones are young enough"
    assert r.topic()["skipped"] == OLD


def test_ephemeral_copies_everything_at_every_start(scene, source, target):
    c = scene.client(source)
    c.create_stream("KV_b", "$KV.b.>", max_msgs_per_subject=1)
    for n in range(20):
        c.js_publish(f"$KV.b.key{n % 10}", b"%d" % n)
    r = scene.replicate(source, target, stream="KV_b", ephemeral=True)
    t = scene.client(target)
    wait_until(lambda: t.has_stream("KV_b") and t.state("KV_b")["messages"] == 10, 20, "all keys")
    c.js_publish("$KV.b.key3", b"new")
    wait_until(lambda: t.get_message("KV_b", last_by_subj="$KV.b.key3").data == b"new", 20, "the new value")
    before = t.last_seq("KV_b")
    r.stop()
    t.purge("KV_b", filter="$KV.b.key5")
    r.start()
    wait_until(lambda: t.state("KV_b")["messages"] == 10 and t.last_seq("KV_b") >= before + 10, 20,
               "all keys copied again")
    values = {m.subject: m.data for m in t.read_stream("KV_b")}
    assert values == {m.subject: m.data for m in c.read_stream("KV_b")}


def test_ephemeral_leaves_no_durable_consumer(scene, source, target):
    fill(source, 10)
    r = scene.replicate(source, target, ephemeral=True)
    t = scene.client(target)
    wait_until(lambda: t.has_stream("S") and t.state("S")["messages"] == 10, 20, "the copy")
    with source.client() as c:
        assert not [x for x in c.consumers("S") if x["config"].get("durable_name")]
    assert r.stop() == 0


def test_resume_from_a_sequence(scene, source, target):
    """A person's choice, for one start."""
    fill(source, OLD)
    r = scene.replicate(source, target)
    r.wait_committed(OLD)
    r.stop()
    r.topics["t"]["resume_from"] = OLD - 4
    r.write()
    r.start()
    t = scene.client(target)
    wait_until(lambda: t.last_seq("S") == OLD + 5, 20, "five messages copied again")
    r.stop()
    r.start()
    fill(source, 1, first=OLD + 1)
    r.wait_committed(OLD + 1)
    assert t.last_seq("S") == OLD + 6, "the second start goes on from where the first came to"
