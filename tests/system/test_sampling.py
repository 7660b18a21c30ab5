"""Sampling: which messages of a topic are copied, whatever dies.

The rules stand here a second time, without the splay: a message is copied if its value is new or was copied a
duration ago, and it is not copied within nine tenths of a duration.
"""

import glob
import json
import os
import signal
import time

import pytest

from lib.audit import origin_of
from lib.nats import block
from lib.proc import wait_until

DURATION = "1m"
DURATION_MS = 60_000


def say(sender, n=0, size=0, **fields):
    """A message of a sender, on a subject and with a header of its own."""
    body = json.dumps({"sender": sender, "n": n, **fields})
    return f"s.{sender}", body.ljust(size).encode(), block(f"Sender: {sender}")


def tell(server, messages):
    """Stores them; the stream's last sequence."""
    with server.client() as c:
        return c.publish_many(messages)


def waves(senders, rounds, first=0):
    return [say(f"n{i}", n) for n in range(first, first + rounds) for i in range(senders)]


def sender_of(m):
    return json.loads(m.data).get("sender")


def check_samples(source, target, duration_ms=DURATION_MS, also=(), target_stream="S"):
    """What is at the target is what the rules want of what the source holds, each once and in order; also:
    sequences that are copied for another reason. Returns the copied sequences."""
    with source.client() as s, target.client() as t:
        said = s.read_stream("S")
        copies = [origin_of(m.headers).seq for m in t.read_stream(target_stream)]
    assert copies == sorted(set(copies)), "doubled or out of order"
    there, last = set(copies), {}
    for m in said:
        now = m.time_ns // 1_000_000
        value = sender_of(m)
        age = now - last[value] if value in last else None
        if value is None or m.seq in also or age is None or age >= duration_ms:
            assert m.seq in there, f"message {m.seq} of {value} is missing, {age} ms after its last copy"
        elif age < duration_ms * 0.9:
            assert m.seq not in there, f"message {m.seq} of {value} was copied after {age} ms"
        if m.seq in there:
            last[value] = now
    return copies


def sampled(scene, source, target, top=None, **options):
    return scene.replicate(source, target, top,
                           **{"inspect_field": "sender", "inspect_duration": DURATION, **options})


def test_each_sender_once_a_duration(scene, source, target):
    last = tell(source, waves(50, 10))
    r = sampled(scene, source, target)
    r.wait_committed(last)
    assert check_samples(source, target) == list(range(1, 51))
    t = r.topic()
    assert t["counters"]["skipped_msgs"] == 450
    last = tell(source, [("s.none", b"no JSON", b""), ("s.none", b'{"sender": null}', b""), *waves(51, 1)])
    r.wait_committed(last)
    assert len(check_samples_of_values(source, target)) == 53


def check_samples_of_values(source, target):
    """The same where some messages have no value."""
    with source.client() as s:
        none = {m.seq for m in s.read_stream("S") if not has_value(m)}
    with target.client() as t:
        copies = [origin_of(m.headers).seq for m in t.read_stream("S")]
    assert none <= set(copies)
    return copies


def has_value(m):
    try:
        return bool(sender_of(m))
    except ValueError:
        return False


def test_a_duration_later_each_is_copied_again(scene, source, target):
    r = sampled(scene, source, target, inspect_duration="3s")
    began = time.monotonic()
    last = 0
    while time.monotonic() - began < 7:
        last = tell(source, waves(20, 2))
        time.sleep(0.1)
    r.wait_committed(last)
    copies = check_samples(source, target, 3000)
    assert 40 < len(copies) <= 80


def test_size_and_force(scene, source, target):
    last = tell(source, [
        say("a", size=100), say("a", size=149), say("a", size=199), say("a", size=150),
        say("a", size=150, urgent=True), say("a", size=150, urgent="true"), say("a", size=150, urgent=1),
        say("b", urgent=True), say("b"), say("a", size=200)])
    r = sampled(scene, source, target, size_trigger=50, inspect_force_field="urgent")
    r.wait_committed(last)
    assert check_samples(source, target, also={3, 5, 8, 10}) == [1, 3, 5, 8, 10]


@pytest.mark.parametrize("options", [
    {"inspect_header": "Sender"},
    {"inspect_subject_token": 2},
    {"inspect_subject_token": -1, "target_subject_prefix": "far"},
    {"inspect_subject_token": 2, "target_subject_remove": "s."},
    {"inspect_field": "sender", "target_writers": "shared"},
], ids=["header", "token", "subject", "removed", "shared"])
def test_what_was_copied_is_read_back_from_the_target(scene, source, target, options):
    """Without state.db, and whatever names the sender."""
    if "target_subject_remove" in options:
        with target.client() as c:
            c.create_stream("S", ["*"])
    last = tell(source, waves(30, 2))
    r = scene.replicate(source, target, inspect_duration=DURATION, **options)
    r.wait_committed(last)
    r.stop()
    for name in glob.glob(os.path.join(r.state_dir, "state.db*")):
        os.remove(name)
    last = tell(source, waves(31, 2))
    r.start()
    r.wait_committed(last)
    assert len(check_samples(source, target)) == 31


def test_a_restart_goes_on_with_the_same_samples(scene, source, target):
    last = tell(source, waves(100, 2))
    r = sampled(scene, source, target)
    r.wait_committed(last)
    assert r.stop() == 0
    rows = dict(r.database("SELECT value, copied FROM sample WHERE topic = 't'"))
    assert len(rows) == 100
    last = tell(source, waves(101, 2))
    r.start()
    r.wait_committed(last)
    assert len(check_samples(source, target)) == 101


def test_worker_killed_in_the_first_wave(scene, source, target):
    last = tell(source, waves(6000, 3))
    r = sampled(scene, source, target, rate_limit="2000/s")
    for copies in (300, 900, 1800):
        r.wait_topic(lambda t: (t["target_seq"] or 0) >= copies, what=f"at copy {copies}")
        pid = r.worker_pid()
        os.kill(pid, signal.SIGKILL)
        r.wait_worker_died(pid)
    r.wait_committed(last)
    assert len(check_samples(source, target)) == 6000


def test_everything_killed_in_the_first_wave(scene, source, target):
    last = tell(source, waves(3000, 3))
    r = sampled(scene, source, target, rate_limit="2000/s")
    for copies in (300, 1500):
        r.wait_topic(lambda t: (t["target_seq"] or 0) >= copies, what=f"at copy {copies}")
        r.kill()
        r.start()
    r.wait_committed(last)
    assert len(check_samples(source, target)) == 3000


@pytest.mark.parametrize("writers", ["exclusive", "shared"])
def test_target_outages(scene, source, target, writers):
    last = tell(source, waves(4000, 3))
    r = sampled(scene, source, target, rate_limit="2000/s", target_writers=writers)
    for copies in (300, 1800):
        r.wait_topic(lambda t: (t["target_seq"] or 0) >= copies, what=f"at copy {copies}")
        target.restart(kill=True)
    r.wait_committed(last)
    if writers == "shared":  # order is kept within a subject
        with target.client() as t:
            seqs = [origin_of(m.headers).seq for m in t.read_stream("S")]
        assert sorted(seqs) == list(range(1, 4001))
    else:
        assert len(check_samples(source, target)) == 4000


def test_another_target_is_filled_again(scene, source, target):
    last = tell(source, waves(20, 2))
    r = sampled(scene, source, target)
    r.wait_committed(last)
    with target.client() as c:
        c.delete_stream("S")
    r.wait_incident("target_reset")
    with target.client() as c:
        wait_until(lambda: c.has_stream("S") and c.last_seq("S") == 20, 20, "filled again")
    assert check_samples(source, target) == list(range(1, 21))
