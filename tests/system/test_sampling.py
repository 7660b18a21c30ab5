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
    last = tell(source, waves(21, 1))
    r.wait_incident("target_reset")
    r.wait_committed(last)
    assert check_samples(source, target) == [*range(1, 21), last]


# ---- other nodes -----------------------------------------------------------------------------------


class Pair:
    """Two nodes with one of them leading."""

    def __init__(self, scene, source, target, **options):
        self.source, self.target = source, target
        self.team = scene.pair(source, target, inspect_field="sender", inspect_duration=DURATION, **options)
        for node in self.team.nodes:
            node.start()
        self.leader = self.team.wait_leader()
        self.other = next(n for n in self.team.nodes if n is not self.leader)
        self.other.wait_standby()

    def wait_copies(self, count):
        with self.target.client() as c:
            wait_until(lambda: c.has_stream("S") and c.last_seq("S") >= count, 30, f"{count} copies")


@pytest.mark.parametrize("end", ["killed", "stopped", "worker killed"])
def test_who_takes_over_goes_on_with_the_same_samples(scene, source, target, end):
    p = Pair(scene, source, target, rate_limit="2000/s")
    last = tell(source, waves(4000, 3))
    p.wait_copies(1500)
    if end == "killed":
        p.leader.kill_all()
    elif end == "stopped":
        p.leader.stop()
    else:
        os.kill(p.leader.worker_pid(), signal.SIGKILL)
    p.wait_copies(4000)
    now = p.team.wait_leader()
    now.wait_committed(last)
    last = tell(source, waves(4001, 1))
    now.wait_committed(last)
    assert len(check_samples(source, target)) == 4001


def test_a_node_that_has_just_come_takes_over(scene, source, target):
    p = Pair(scene, source, target)
    last = tell(source, waves(500, 3))
    p.leader.wait_committed(last)
    p.other.kill_all()
    for name in glob.glob(os.path.join(p.other.state_dir, "state.db*")):
        os.remove(name)
    p.other.start()
    p.other.wait_standby()
    p.leader.kill_all()
    assert p.team.wait_leader(but=p.leader) is p.other
    last = tell(source, waves(501, 2))
    p.other.wait_committed(last)
    assert len(check_samples(source, target)) == 501


# ---- silence ---------------------------------------------------------------------------------------


class Advisories:
    """What was advised at the target, kept by a stream."""

    OPTIONS = {"subject": "adv.%s.%v", "cluster": "target", "reliable": True}

    def __init__(self, scene, target):
        self.client = scene.client(target)
        self.client.create_stream("ADV", "adv.>")

    def all(self):
        """[(event, value)] in their order."""
        return [(b["event"], b["value"]) for b in
                (json.loads(m.data) for m in self.client.read_stream("ADV"))]

    def wait(self, event, value, timeout=15):
        wait_until(lambda: (event, value) in self.all(), timeout, f"{event} of {value}, have {self.all()}")


def advised(scene, source, target, **options):
    return sampled(scene, source, target, warn_duration="2s", inspect_duration="6s",
                   advisory=Advisories.OPTIONS, **options)


def test_a_sender_falls_silent_and_comes_back(scene, source, target):
    a = Advisories(scene, target)
    tell(source, [say("a"), say("b")])
    r = advised(scene, source, target)
    a.wait("new", "b")
    a.wait("timeout", "a")
    tell(source, [say("b", 1)])
    a.wait("recover", "b")
    a.wait("expire", "a")
    told = [e for e, v in a.all() if v == "a"]
    assert told == ["new", "timeout", "expire"]
    r.stop()


def test_time_in_which_nobody_listens_is_no_silence(scene, source, target):
    a = Advisories(scene, target)
    last = tell(source, [say("a")])
    r = advised(scene, source, target)
    r.wait_committed(last)
    a.wait("new", "a")
    r.control("pause", topic="t")
    r.wait_state("paused")
    time.sleep(2.5)
    r.stop()
    time.sleep(0.5)
    r.start()
    r.wait_state("paused")
    r.control("resume", topic="t")
    r.wait_state("copying")
    began = time.monotonic()
    tell(source, [say("a", 1)])
    time.sleep(1)
    assert a.all() == [("new", "a")]
    a.wait("timeout", "a")
    assert time.monotonic() - began > 1.9


@pytest.mark.parametrize("retention", ["workqueue", "interest"])
def test_sources_that_cannot_be_read_again(scene, target, retention):
    source = scene.server()
    with source.client() as c, target.client() as t:
        c.create_stream("S", "s.>", retention=retention)
        t.create_stream("S", "s.>")
        if retention == "interest":
            c.api("CONSUMER.DURABLE.CREATE.S.keep", {"stream_name": "S", "config": {
                "durable_name": "keep", "ack_policy": "explicit"}})
    a = Advisories(scene, target)
    last = tell(source, waves(200, 2))
    r = advised(scene, source, target)
    r.wait_committed(last)
    with target.client() as t:
        assert t.last_seq("S") == 200
    os.kill(r.worker_pid(), signal.SIGKILL)
    last = tell(source, waves(201, 1))
    r.wait_committed(last)
    with target.client() as t:
        assert t.last_seq("S") == 201
    a.wait("timeout", "n200")
    events = a.all()
    assert len(events) == len(set(events))


def test_a_target_that_gives_away_what_it_holds(scene, source, target):
    """What was copied since the last rows were written is judged once more."""
    with target.client() as t:
        t.create_stream("S", "s.>", retention="workqueue")
    last = tell(source, waves(2000, 3))
    r = sampled(scene, source, target, rate_limit="500/s")
    for copies in (200, 1200):
        r.wait_topic(lambda t: (t["target_seq"] or 0) >= copies, what=f"at copy {copies}")
        pid = r.worker_pid()
        os.kill(pid, signal.SIGKILL)
        r.wait_worker_died(pid)
    r.wait_committed(last)
    with target.client() as t:
        assert t.last_seq("S") == 2000
