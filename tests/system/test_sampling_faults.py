"""Sampling while things break: no value is copied twice within its duration, none is missed, and nobody counts
as silent because nobody listened."""

import json
import os
import random
import signal
import sqlite3
import time

import pytest

from lib.advisories import Reader
from lib.nodes import Node
from lib.proc import wait_until
from lib.replicator import topic
from lib.sampling import Rules, Senders, check_sampled, last_of, say, settle, tell, waves

SAMPLED = {"inspect_field": "sender"}


def sampled(scene, source, target, duration="3s", **options):
    return scene.replicate(source, target, **{**SAMPLED, "inspect_duration": duration, **options})


def senders(scene, server, count, **kw):
    return scene.add(Senders(server.client, count, **kw))


def advisory(cluster="source", reliable=True, subject="adv.%s", **more):
    return {"subject": subject, "cluster": cluster, "reliable": reliable, **more}


# ---- processes that die ----------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["worker", "all"])
def test_killed_again_and_again(scene, source, target, who):
    """At moments of chance, so that it is in the first wave, at a batch of rows, or between the two."""
    chance = random.Random(who)
    w = senders(scene, source, 400, rate=2000)
    node = scene.add(Node({"t": topic(source, target, inspect_duration="2s", **SAMPLED)}))
    node.start()
    for _ in range(5):
        node.wait_state("copying")
        time.sleep(0.2 + chance.random())
        pid = node.worker_pid()
        if who == "worker":
            os.kill(pid, signal.SIGKILL)
            node.wait_worker_died(pid)
        else:
            node.kill_all()
            node.start()
    settle(node, w, source)
    got = check_sampled(source, target, Rules(2))
    assert len(got.by_value) == 400 and len(got.copies) < len(got.said) / 3


def test_first_wave_with_a_dead_worker(scene, source, target):
    """All of it is judged in flight: what was stored at the target and what was not is told apart."""
    last = tell(source, waves(20_000, 2))
    link = scene.link(target, rtt_ms=60)
    r = sampled(scene, source, target, "10m", target_port=link.port)
    with target.client() as t:
        for copies in (1, 4000):
            wait_until(lambda: t.has_stream("S") and t.last_seq("S") >= copies, 20, f"copy {copies}", every=0.005)
            pid = r.worker_pid()
            os.kill(pid, signal.SIGKILL)
            r.wait_worker_died(pid)
    r.wait_committed(last)
    assert len(check_sampled(source, target, Rules(600)).copies) == 20_000


# ---- ends that go away -----------------------------------------------------------------------------


def test_cut_of_the_target_under_load(scene, source, target):
    """Rewinds: what was judged is judged again, and comes out the same."""
    chance = random.Random(7)
    link = scene.link(target, rtt_ms=20)
    w = senders(scene, source, 600, rate=3000)
    r = sampled(scene, source, target, "2s", target_port=link.port, size_trigger=2)
    for _ in range(8):
        r.wait_state("copying")
        time.sleep(0.1 + 0.6 * chance.random())
        link.cut()
    settle(r, w, source)
    got = check_sampled(source, target, Rules(2, size_trigger=2))
    assert len(got.by_value) == 600
    assert r.topic()["restarts"] == 0


@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "core"])
def test_target_outage_while_an_advisory_is_due(scene, source, target, reliable):
    """Advisories to the target. While it is away nothing is read, so nobody can be heard and nobody falls
    silent, though all say nothing; who goes on saying nothing is advised of after it, once."""
    adv = Reader(target)
    w = senders(scene, source, 20, rate=200)
    r = sampled(scene, source, target, "20s", warn_duration="3s", advisory=advisory("target", reliable))
    adv.wait("new", count=20)
    w.stop()
    time.sleep(1)  # part of the time that makes them silent
    target.kill()
    r.wait_topic(lambda t: t["state"] != "copying")
    time.sleep(3)  # the rest of it
    target.start()
    w = go_on(scene, source, r, 20, "n3")
    only_one_is_silent(adv, "n3", 2)
    settle(r, w, source)
    check_sampled(source, target, Rules(20))


def go_on(scene, source, r, count, mute):
    """They speak again, but for one, some time after it works again."""
    r.wait_state("copying")
    time.sleep(0.5)
    return senders(scene, source, count, rate=200, mute={mute})


def only_one_is_silent(adv, value, seconds=3.0):
    """It is found silent, and nobody else."""
    adv.wait("timeout", value)
    time.sleep(seconds)  # that nobody else is can only be seen by waiting
    assert [a.value for a in adv.check_each_once() if a.event == "timeout"] == [value]


def test_reliable_advisory_over_an_outage_of_its_stream(scene, source, target):
    """The stream is away when they fall due; they are delivered once when it is back."""
    adv = Reader(source, make=False)
    last = tell(source, waves(10, 1))
    r = sampled(scene, source, target, "1m", warn_duration="500ms", advisory=advisory())
    r.wait_committed(last)
    r.wait_topic(lambda t: t["sampling"]["advised"] == 10, what="advised")
    wait_until(lambda: r.database("SELECT count(*) FROM advisory_outbox") == [(20,)], 10, "they are kept")
    r.wait_topic(lambda t: t["sampling"]["advisories"]["waiting"] == 20)
    Reader(source)
    wait_until(lambda: r.database("SELECT count(*) FROM advisory_outbox") == [(0,)], 20, "they are forgotten")
    assert adv.counts() == {(event, f"n{i}"): 1 for event in ("new", "timeout") for i in range(10)}
    want = {"new": 10, "timeout": 10, "waiting": 0, "dropped": 0}
    t = r.wait_topic(lambda t: want.items() <= t["sampling"]["advisories"].items(), 5, what=str(want))
    assert t["sampling"]["advisories"]["errors"] >= 10


def begun(scene, source, target, adv, warn="3s", **more):
    """Ten senders that are known."""
    w = senders(scene, source, 10, rate=100)
    r = sampled(scene, source, target, "30s", warn_duration=warn, advisory=advisory(), **more)
    adv.wait("new", count=10)
    return r, w


def test_source_outage_is_no_silence(scene, source, target):
    adv = Reader(source)
    link = scene.link(source)
    r, w = begun(scene, source, target, adv, source_port=link.port)
    w.stop()
    link.refuse()
    link.cut()
    r.wait_state("connecting")
    time.sleep(3.5)  # longer than what makes silent
    assert not adv.of("timeout")
    link.refuse(False)
    w = go_on(scene, source, r, 10, "n7")
    only_one_is_silent(adv, "n7")
    settle(r, w, source)
    check_sampled(source, target, Rules(30))


def test_frozen_source_is_no_silence(scene, source, target):
    """It is noticed within three seconds, which are less than what makes silent."""
    adv = Reader(source)
    link = scene.link(source)
    r, w = begun(scene, source, target, adv, "4s", source_port=link.port)
    w.mute.add("n7")
    link.freeze()
    r.wait_topic(lambda t: t["state"] != "copying", 20)
    link.thaw()
    only_one_is_silent(adv, "n7", 4)
    settle(r, w, source)


@pytest.mark.parametrize("senders_too", [False, True], ids=["senders-go-on", "senders-too"])
def test_pause_is_no_silence(scene, source, target, senders_too):
    adv = Reader(source)
    r, w = begun(scene, source, target, adv)
    w.mute.add("n7")
    if senders_too:
        w.stop()
    r.control("pause", topic="t")
    r.wait_state("paused")
    time.sleep(3.5)  # longer than what makes silent
    r.control("resume", topic="t")
    if senders_too:
        w = go_on(scene, source, r, 10, "n7")
    only_one_is_silent(adv, "n7")
    w.mute.clear()
    adv.wait("recover", "n7")
    settle(r, w, source)
    adv.check_each_once()
    check_sampled(source, target, Rules(30))


# ---- stops, and what is stored here ----------------------------------------------------------------


def age_state(r, seconds):
    """As if all that is known had been written so long ago."""
    ms = seconds * 1000
    db = sqlite3.connect(os.path.join(r.state_dir, "state.db"), timeout=5)
    with db:
        db.execute("UPDATE sample SET seen = seen - ?, copied = max(copied - ?, 0)", (ms, ms))
        for key, text in db.execute("SELECT key, value FROM meta WHERE key LIKE 'sampled:%'").fetchall():
            note = json.loads(text)
            note["heard"] -= ms
            note["gaps"] = [[max(a - ms, 0), b - ms] for a, b in note["gaps"]]
            db.execute("UPDATE meta SET value = ? WHERE key = ?", (json.dumps(note), key))
    db.close()


def test_stop_of_an_hour_is_no_storm(scene, source, target):
    """Nobody spoke for an hour to somebody who was not there. Who is heard again is copied, as that was an
    hour ago, and is neither new nor recovered; who is not falls silent after what was left of the time."""
    adv = Reader(source)
    last = tell(source, waves(200, 1))
    r = sampled(scene, source, target, "6s", warn_duration="3s", advisory=advisory())
    r.wait_committed(last)
    adv.wait("new", count=200)
    assert r.stop() == 0
    age_state(r, 3600)
    r.start()
    r.wait_state("copying")
    last = tell(source, waves(150, 1, first=1))
    r.wait_committed(last)
    time.sleep(0.5)  # nothing may come
    assert len(adv.all()) == 200
    adv.wait("timeout", count=50)
    assert {a.value for a in adv.of("timeout")} <= {f"n{i}" for i in range(150, 200)}
    with target.client() as t:
        assert t.last_seq("S") == 350
    adv.wait("expire", count=200, timeout=15)
    adv.check_each_once()
    r.wait_topic(lambda t: t["sampling"]["tracked"] == 0)


def delete_state(r):
    for name in os.listdir(r.state_dir):
        if name.startswith("state.db"):
            os.remove(os.path.join(r.state_dir, name))


def test_state_deleted_while_it_runs(scene, source, target):
    """All rows are written again; and what the next process reads is as good as before."""
    w = senders(scene, source, 300, rate=1000)
    r = sampled(scene, source, target, "10m")
    wait_until(lambda: r.database("SELECT count(*) FROM sample") == [(300,)], 15, "rows")
    delete_state(r)
    wait_until(lambda: r.database("SELECT count(*) FROM sample") == [(300,)], 20, "rows again")
    assert all(row[0] for row in r.database("SELECT copied FROM sample"))
    r.kill()
    r.start()
    r.wait_state("copying")
    settle(r, w, source)
    assert len(check_sampled(source, target, Rules(600)).copies) == 300


def test_state_deleted_while_it_is_down(scene, source, target):
    """The target says what was copied, at its origin's time; and nobody is new whom it names."""
    adv = Reader(source)
    w = senders(scene, source, 300, rate=1000)
    r = sampled(scene, source, target, "3s", warn_duration="2s", advisory=advisory())
    adv.wait("new", count=300)
    time.sleep(1)
    r.kill()
    delete_state(r)
    r.start()
    r.wait_state("copying")
    settle(r, w, source)
    check_sampled(source, target, Rules(3))
    assert len(adv.of("new")) == 300


def test_note_that_makes_no_sense(scene, source, target):
    """It is as if there were none; what lies beside it in the file counts."""
    adv = Reader(target)
    r = sampled(scene, source, target, duration="1h", advisory=advisory("target"))
    r.wait_committed(tell(source, waves(20, 2)))
    adv.wait("new", count=20)
    assert r.stop() == 0
    db = sqlite3.connect(os.path.join(r.state_dir, "state.db"))
    with db:
        assert db.execute("UPDATE meta SET value = '{' WHERE key = 'sampled:t'").rowcount == 1
        db.execute("INSERT INTO advisory_outbox (topic, id, subject, body, tries, next_try) "
                   "VALUES ('t', 'waits', 'adv.waits', ?, 0, 0)", (json.dumps({**adv.all()[0].body, "event_id": "waits"}),))
        db.execute("UPDATE sample SET advised = 1 WHERE value = 'n3'")
    db.close()
    r.start()
    r.wait_committed(tell(source, waves(20, 1)))
    wait_until(lambda: "adv.waits" in [a.subject for a in adv.all()], 10, "the advisory that waits")
    adv.wait("recover", value="n3")
    assert adv.counts()["new", "n5"] == 1
    r.wait_log("the target is read instead")


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_state_lost_with_a_backlog(scene, source, target, gone):
    """What waits is older than the last duration, and so is what was copied: it is read back all the same, though
    others write to the target meanwhile. Also if the last message that was settled is gone."""
    with target.client() as t:
        t.create_stream("FLEET", ["s.>", "other.>"])
    last = tell(source, waves(50, 1))
    r = sampled(scene, source, target, "2s", target_stream="FLEET", target_writers="shared")
    r.wait_committed(last)
    r.kill()
    delete_state(r)
    last = tell(source, waves(50, 1, first=1))
    with source.client() as c:
        said = c.read_stream("S")
        if gone:
            c.purge("S", seq=51)
    time.sleep(3)
    tell(target, [(f"other.{i}", b"x", b"") for i in range(100)])
    r.start()
    r.wait_committed(last)
    assert len(check_sampled(source, target, Rules(2), target_stream="FLEET", shared=True, foreign_ok=True,
                             said=said).copies) == 50


def test_rows_say_what_happened(scene, source, target):
    last = tell(source, [*waves(3, 1), say("n1", 1, size=80)])
    r = sampled(scene, source, target, "10m", size_trigger=1)
    r.wait_committed(last)
    began = time.monotonic()
    rows = wait_until(lambda: r.database("SELECT value, seen, copied, size, advised FROM sample ORDER BY value"),
                      10, "rows")
    assert time.monotonic() - began < 10
    with source.client() as c:
        said = c.read_stream("S")
    ms = [m.time_ns // 1_000_000 for m in said]
    size = len(said[0].data)
    assert rows == [("n0", ms[0], ms[0], size, 0), ("n1", ms[3], ms[3], 80, 0), ("n2", ms[2], ms[2], size, 0)]


# ---- other kinds of ends, and other settings -------------------------------------------------------


def backlog(source, seconds, count=50):
    """Many durations that nobody copied; the real clock makes them."""
    w = Senders(source.client, count, rate=1500)
    time.sleep(seconds)
    w.stop()
    return last_of(source)


def test_backlog_is_sampled_by_its_own_times(scene, source, target):
    """As if it had been there at the time; a kill on the way changes nothing of what is copied."""
    last = backlog(source, 5)
    scene.client(target).create_stream("B", "far.>")
    one = sampled(scene, source, target, "1s")
    one.wait_committed(last)
    two = scene.prepare({"u": topic(source, target, target_stream="B", target_subject_prefix="far", rate_limit="150/s",
                                    inspect_duration="1s", **SAMPLED)}).start()
    for copies in (20, 110):
        two.wait_topic(lambda t: (t["target_seq"] or 0) >= copies, name="u")
        pid = two.worker_pid("u")
        os.kill(pid, signal.SIGKILL)
        two.wait_worker_died(pid, name="u")
    two.wait_committed(last, name="u")
    a = check_sampled(source, target, Rules(1))
    b = check_sampled(source, target, Rules(1), target_stream="B", topic="u", prefix="far")
    assert a.copies == b.copies
    assert set(a.by_value.values()) <= {4, 5, 6}


def test_reload_of_other_rules(scene, source, target):
    """The duration, and then no sampling at all, under load. Each is true from a message on."""
    w = senders(scene, source, 100, rate=1000)
    r = sampled(scene, source, target, "10m")
    r.wait_committed(500)
    r.topics["t"]["inspect_duration"] = "1s"
    r.write()
    pid = r.worker_pid()
    assert r.control("reload")["ok"]
    r.wait_worker_died(pid)
    r.wait_state("copying")
    time.sleep(2.5)
    for name in ("inspect_field", "inspect_duration"):
        del r.topics["t"][name]
    r.write()
    pid = r.worker_pid()
    assert r.control("reload")["ok"]
    r.wait_worker_died(pid)
    r.wait_state("copying")
    r.wait_committed(last_of(source) + 200)
    settle(r, w, source)
    with target.client() as t:
        count = t.last_seq("S")
    said = check_sampled(source, target, Rules(0.9, also=range(1, last_of(source) + 1), rejected=range(1, 10**6)))
    assert said.copies[:100] == list(range(1, 101)) and said.copies[100] > 500
    tail = said.copies[-150:]
    assert tail == list(range(tail[0], tail[0] + 150)), "all are copied in the end"
    assert 250 < count < len(said.said)


def test_reload_of_what_names_the_values(scene, source, target):
    """Who was known by another name is forgotten, and nobody says that he fell silent."""
    adv = Reader(source)
    last = tell(source, [say(f"n{i}", 0, host=f"h{i % 5}") for i in range(20)])
    r = sampled(scene, source, target, "20s", warn_duration="3s", advisory=advisory())
    r.wait_committed(last)
    adv.wait("new", count=20)
    r.topics["t"]["inspect_field"] = "host"
    r.write()
    pid = r.worker_pid()
    assert r.control("reload")["ok"]
    r.wait_worker_died(pid)
    r.wait_state("copying")
    last = tell(source, [say(f"n{i}", 1, host=f"h{i}") for i in range(5)])
    r.wait_committed(last)
    with target.client() as t:
        assert t.last_seq("S") == 20, "what was copied is known by its new name"
    wait_until(lambda: [v for v, in r.database("SELECT value FROM sample ORDER BY value")] ==
               [f"h{i}" for i in range(5)], 10, "rows of the new values alone")
    adv.wait("timeout", count=5)
    assert {a.value for a in adv.of("timeout", "expire")} == {f"h{i}" for i in range(5)}
    assert r.topic()["sampling"]["tracked"] == 5


def test_two_sites_in_one_stream(scene, target):
    """Each is sampled by itself, though senders have the same names; one of them dies now and then."""
    sites = []
    with target.client() as t:
        t.create_stream("FLEET", "fleet.>")
    for name in ("EAST", "WEST"):
        server = scene.server()
        with server.client() as c:
            c.create_stream("S", "s.>")
        r = scene.prepare({"t": topic(server, target, target_stream="FLEET", target_subject_prefix=f"fleet.{name}",
                                      inspect_duration="2s", target_writers="shared", **SAMPLED)}, name=name)
        sites.append((name, server, r.start(), senders(scene, server, 100, rate=500)))
    for i in range(4):
        _, _, r, _ = sites[i % 2]
        time.sleep(1)
        pid = r.worker_pid()
        os.kill(pid, signal.SIGKILL)
        r.wait_worker_died(pid)
        r.wait_state("copying", 5)
    for name, server, r, w in sites:
        settle(r, w, server)
        got = check_sampled(server, target, Rules(2), target_stream="FLEET", site=name, prefix=f"fleet.{name}",
                            shared=True, foreign_ok=True)
        assert len(got.by_value) == 100


def test_work_queue(scene, target):
    """What is skipped is taken from the queue like what is copied; a crash loses neither."""
    source = scene.server()
    with source.client() as c:
        c.create_stream("S", "s.>", retention="workqueue")
    with target.client() as c:
        c.create_stream("S", "s.>")
    said = waves(2000, 3)
    last = tell(source, said)
    r = sampled(scene, source, target, "10m", rate_limit="1500/s")
    for copies in (200, 1200):
        r.wait_topic(lambda t: (t["target_seq"] or 0) >= copies, what=f"at copy {copies}")
        pid = r.worker_pid()
        os.kill(pid, signal.SIGKILL)
        r.wait_worker_died(pid)
    r.wait_committed(last)
    with source.client() as s, target.client() as t:
        wait_until(lambda: s.state("S")["messages"] == 0, 10, "the queue is empty")
        copies = t.read_stream("S")
    assert [(m.subject, m.data) for m in copies] == [m[:2] for m in said[:2000]]


def test_dead_letters_are_no_copies(scene, source, target):
    """What the target cannot take was seen and not copied: the next one of that sender is."""
    with target.client() as t:
        t.create_stream("S", "s.>", max_msg_size=1000)
        t.create_stream("DEAD", "dead")
    big = say("n1", 0, size=2000)
    last = tell(source, [say("n0"), big, say("n2"), say("n1", 1), say("n1", 2), say("n0", 1), big])
    r = sampled(scene, source, target, "10m", on_reject="dead_letter", dead_letter_subject="dead")
    r.wait_committed(last)
    assert check_sampled(source, target, Rules(600, rejected={2})).copies == [1, 3, 4]
    with target.client() as t:
        assert t.last_seq("DEAD") == 1
    r.kill()
    r.start()
    last = tell(source, waves(3, 1, first=5))
    r.wait_committed(last)
    assert check_sampled(source, target, Rules(600, rejected={2})).copies == [1, 3, 4]


def test_partitions(scene, target):
    """Each has values, rows and rules of its own."""
    source = scene.server()
    with source.client() as c:
        c.create_stream("S", "s.>")
    with target.client() as t:
        for n in range(3):
            t.create_stream(f"P{n}", f"s.{n}.>")
    w = [senders(scene, source, 50, rate=300, prefix=f"s.{n}") for n in range(3)]
    r = sampled(scene, source, target, "2s", partitions=3, filter_subject="s.{{partition}}.>",
                target_stream="P{{partition}}")
    for n in range(3):
        r.wait_state("copying", name=f"t_P{n}")
    time.sleep(2)
    pid = r.worker_pid("t_P1")
    os.kill(pid, signal.SIGKILL)
    r.wait_worker_died(pid, name="t_P1")
    time.sleep(1.5)
    for one in w:
        one.stop()
    last = last_of(source)
    for n in range(3):
        r.wait_topic(lambda t: t["lag_msgs"] == 0 and t["source_last_seq"] >= last, 20, f"t_P{n}")
        got = check_sampled(source, target, Rules(2), target_stream=f"P{n}", topic=f"t_P{n}", filters=f"s.{n}.>")
        assert len(got.by_value) == 50 and r.topic(f"t_P{n}")["sampling"]["tracked"] == 50
    rows = wait_until(lambda: (x := r.database("SELECT topic, count(*) FROM sample GROUP BY topic")) and
                      len(x) == 3 and x, 10, "rows of all")
    assert rows == [("t_P0", 50), ("t_P1", 50), ("t_P2", 50)]
