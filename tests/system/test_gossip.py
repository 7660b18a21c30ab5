"""What nodes tell each other of values: a node that takes over goes on with the same samples and advisories;
peers of the existing system understand and are understood."""

import json
import signal
import subprocess
import time

import pytest

from lib import gossip, proc
from lib.advisories import Reader
from lib.proc import wait_until
from lib.replicator import environment, program
from lib.sampling import Rules, Senders, check_sampled, last_of, say, tell, waves

def pair(scene, source, target, duration="3s", warn="1s", **options):
    return scene.pair(source, target, "1500ms", inspect_field="sender",
                      inspect_duration=duration, warn_duration=warn,
                      advisory={"subject": "adv.%s", "reliable": True}, **options)


def senders(scene, source, count, **kw):
    return scene.add(Senders(source.client, count, **kw))


def settle_team(team, w, source, timeout=30.0):
    w.stop()
    last = last_of(source)
    wait_until(lambda: any((n.topic().get("committed_seq") or 0) >= last for n in team.leaders()), timeout,
               f"a leader at {last}")


# ---- fail-over -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "step-down"])
def test_fail_over(scene, source, target, how):
    """Under load, again and again: the same samples go on, every event is said once, and who falls silent
    meanwhile is found."""
    adv = Reader(source)
    w = senders(scene, source, 200, rate=800)
    team = pair(scene, source, target, "3s", "1500ms").start()
    team.settled()
    adv.wait("new", count=200)
    for i in range(3):
        leader, _ = team.settled()
        w.mute.add(f"n{i}")
        time.sleep(0.7)
        if how == "kill":
            leader.kill_all()
            team.wait_leader(but=leader)
            leader.start()
        else:
            leader.command("step-down", "WORK", check=True)
            team.wait_leader(but=leader)
    for i in range(3):
        adv.wait("timeout", f"n{i}", timeout=10)
    settle_team(team, w, source)
    assert len(check_sampled(source, target, Rules(3)).by_value) == 200
    adv.check_each_once()
    assert {a.value for a in adv.of("timeout")} == {"n0", "n1", "n2"}


def test_gain_long_after_the_own_checkpoint(scene, source, target):
    """What the other one copied since a checkpoint in doubt is read once more, to know the map. Senders that have
    been forgotten since then are not new again by that, nor do they fall silent again."""
    adv = Reader(source)
    team = pair(scene, source, target, "2s", "1s").start()
    first, (other,) = team.settled()
    first.wait_committed(tell(source, waves(10, 1)))
    first.kill_all()
    team.wait_leader(but=first)  # who died may have copied otherwise: checkpoints of the next one are in doubt
    other.wait_committed(tell(source, waves(["m0", "m1"], 1)))
    first.start()
    first.wait_standby()
    wait_until(lambda: other.command("step-down", "WORK").returncode == 0, 10, "it steps down")
    team.wait_leader(but=other)
    w = senders(scene, source, 10, rate=50)
    with target.client() as t:
        wait_until(lambda: t.last_seq("S") >= 40, 20, "each was copied when it was new, and twice after that")
    w.stop()
    first.wait_committed(last_of(source))
    first.wait_topic(lambda t: t["sampling"]["tracked"] == 0, 20, what="forgetting all")
    other.wait_topic(lambda t: t["sampling"]["tracked"] == 0, 20, what="forgetting all")
    before = len(adv.all())
    first.command("step-down", "WORK", check=True)
    team.wait_leader(but=first)
    other.wait_committed(tell(source, [say("n10")]))
    adv.wait("timeout", "n10")
    assert len(adv.check_once()) == before + 2


def test_new_leader_that_started_a_second_ago(scene, source, target):
    """It knows nothing of its own: what it goes on from is the other one's word, and the target's."""
    adv = Reader(source)
    w = senders(scene, source, 200, rate=800)
    team = pair(scene, source, target, "20s", "10s")
    team[0].start()
    team[0].wait_committed(1000)
    team[1].start()
    team[1].wait_standby()
    time.sleep(0.5)
    team[0].kill_all()
    team.wait_leader(but=team[0])
    settle_team(team, w, source)
    assert len(check_sampled(source, target, Rules(20)).copies) == 200
    assert adv.counts() == {("new", f"n{i}"): 1 for i in range(200)}
    adv.check_each_once()


def test_standby_is_told_at_once(scene, source, target):
    """A node that joins gets all of it; it writes it down too, and says so without being asked twice."""
    Reader(source)
    last = tell(source, waves(5000, 1))
    team = pair(scene, source, target, "10m", "5m")
    team[0].start()
    team[0].wait_committed(last)
    team[1].start()
    team[1].wait_standby()
    team[1].wait_topic(lambda t: t["sampling"]["tracked"] == 5000, 10, what="told")
    tell(source, [say("late")])
    team[1].wait_topic(lambda t: t["sampling"]["tracked"] == 5001, 10, what="told of one more")
    wait_until(lambda: len(team[1].database("SELECT value FROM sample")) == 5001, 15, "rows of the standby")
    rows = [n.database("SELECT value, seen, copied, size FROM sample ORDER BY value") for n in team]
    assert rows[0] == rows[1]


def test_silence_is_not_counted_while_nobody_leads(scene, source, target):
    """Both are gone for longer than what makes silent; who comes back knows that nobody listened."""
    adv = Reader(source)
    w = senders(scene, source, 20, rate=100)
    team = pair(scene, source, target, "20s", "2s").start()
    team.settled()
    adv.wait("new", count=20)
    for node in team:
        node.kill_all()
    time.sleep(3)
    team.start()
    team.wait_leader()
    time.sleep(1.5)  # nothing may come
    settle_team(team, w, source)
    assert adv.of("timeout", "recover", "expire") == []
    adv.check_each_once()
    check_sampled(source, target, Rules(20))


# ---- peers of the existing system ------------------------------------------------------------------


def sampled(scene, source, target, duration="10m", **options):
    r = scene.replicate(source, target, inspect_field="sender", inspect_duration=duration, gossip=True, **options)
    r.wait_state("copying")
    return r


def now_ms():
    return time.time_ns() // 10**6


def test_its_items_are_honoured(scene, source, target):
    """What the other tool copied just now is not copied again; what it copied long ago is."""
    peer = scene.add(gossip.Peer(source))
    r = sampled(scene, source, target)
    now = now_ms()
    peer.tell("recent", now - 1000, now - 1000)
    peer.tell("old", now - 1000, now - 3_600_000)
    peer.tell("never", now - 1000, 0)
    peer.tell("sized", now - 1000, now - 1000, advised=True, size=55)
    r.wait_topic(lambda t: t["sampling"]["tracked"] == 4 and t["sampling"]["advised"] == 1)
    last = tell(source, [say(v) for v in ("recent", "old", "never", "sized", "new")])
    r.wait_committed(last)
    assert check_sampled(source, target, Rules(600, known={"recent": now - 1000, "sized": now - 1000})).copies == [2, 3, 5]


def test_older_news_change_nothing(scene, source, target):
    peer = scene.add(gossip.Peer(source))
    r = sampled(scene, source, target)
    last = tell(source, [say("n1")])
    r.wait_committed(last)
    now = now_ms()
    peer.tell("n1", now - 300_000, now - 300_000, advised=True)
    peer.tell("n1", now - 300_000, 0)
    peer.tell("mark", now, now)
    r.wait_topic(lambda t: t["sampling"]["tracked"] == 2)
    last = tell(source, [say("n1", 1)])
    r.wait_committed(last)
    assert check_sampled(source, target, Rules(600)).copies == [1]
    assert r.topic()["sampling"]["advised"] == 0


def test_it_understands_ours(scene, source, target):
    """Each value at most once a second, with the times that the source stored."""
    peer = scene.add(gossip.Peer(source))
    r = sampled(scene, source, target)
    last = tell(source, [m for n in range(100) for m in waves(["a", "b.c", 'q"\\ž'], 1, first=n)])
    r.wait_committed(last)
    with source.client() as c:
        said = c.read_stream("S")
    first = {json.loads(m.data)["sender"]: m.time_ns // 10**6 for m in reversed(said)}
    newest = {json.loads(m.data)["sender"]: m for m in said}

    def whole(heard):
        table = {i.value: i for i in heard}
        return all(v in table and table[v].seen_ms == m.time_ns // 10**6 for v, m in newest.items()) and table
    table = peer.listen(whole, what="the newest of all values")
    assert len(table) == 3 and len(peer.heard) <= 12, peer.heard
    for value, item in table.items():
        assert (item.copied_ms, item.size, item.advised) == (first[value], len(newest[value].data), False)
        keys = list(json.loads(item.raw))
        assert keys == ["seen", "copied", "size", "value"] and b" " not in item.raw.split(b'"value"')[0]


def test_it_hears_of_silence(scene, source, target):
    peer = scene.add(gossip.Peer(source))
    last = tell(source, [say("n1")])
    r = sampled(scene, source, target, warn_duration="1s")
    r.wait_committed(last)
    peer.listen(lambda heard: heard and heard[-1].advised, what="that it is silent")


def test_two_that_share_a_stream_without_an_election(scene, source, target):
    """Two replicators of one source to two targets: each value once in all, whoever was first."""
    other = scene.server()
    one = sampled(scene, source, target)
    two = sampled(scene, source, other, name="another")
    for i in range(3):
        last = tell(source, [say(f"n{i}")])
        one.wait_committed(last)
        two.wait_committed(last)
    wait_until(lambda: all(r.topic()["sampling"]["gossip"]["received"] >= 3 for r in (one, two)), 10, "told")
    time.sleep(1.2)  # a value is told at most once a second
    last = tell(source, waves(3, 1, first=1))
    one.wait_committed(last)
    two.wait_committed(last)
    for t in (target, other):
        assert check_sampled(source, t, Rules(600)).copies == [1, 2, 3]


JUNK = [b"", b"{}", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b'{"value":"n1"}', b'{"seen":"yesterday","value":"n1"}',
        b'{"seen":5,"value":"n1"}', gossip.item_text("", 10**12), gossip.item_text("n1", 10**12 * 4),
        gossip.item_text("n1", 0), b'{"seen":"2024-01-01T00:00:00Z","copied":"x","size":1,"value":"n1"}',
        b"x" * 20_000, b'{"seen":' * 5000]


def test_junk_is_counted(scene, source, target):
    """And neither stops nor teaches anything."""
    peer = scene.add(gossip.Peer(source))
    r = sampled(scene, source, target)
    pid = r.worker_pid()
    for data in JUNK:
        peer.tell_raw(data)
    for suffix in (".position", ".snapshot", ".snapshot.x.y"):
        for data in JUNK:
            peer.client.publish(peer.subject + suffix, data, reply=peer.client.inbox + ".junk")
    peer.tell("good", now_ms(), now_ms())
    r.wait_topic(lambda t: t["sampling"]["tracked"] == 1 and t["sampling"]["gossip"]["rejected"] >= len(JUNK), 10)
    last = tell(source, [say("n1"), say("good")])
    r.wait_committed(last)
    assert r.worker_pid() == pid
    assert check_sampled(source, target, Rules(600, known={"good": now_ms()})).copies == [1]


# ---- the verb --------------------------------------------------------------------------------------


def test_verb(scene, source, target):
    r = sampled(scene, source, target)
    peer = scene.add(gossip.Peer(source))
    children = [proc.spawn([program(), "gossip", *more, "--config", r.conf], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env=environment()) for more in (["--json"], [])]
    try:
        heard = gossip.subject()
        wait_until(lambda: [heard in x.get("subscriptions_list", []) for x in source.monitor("connz?subs=1")["connections"]]
                   .count(True) >= 4, 10, "both listen")
        tell(source, [say("n1"), say("n2")])
        peer.tell("n3", now_ms(), now_ms(), advised=True)
        peer.listen(lambda heard: len({i.value for i in heard}) >= 3, what="ours and its own")
        peer.tell_raw(b"junk")
        time.sleep(0.5)
        for child in children:
            child.send_signal(signal.SIGINT)
        (lines, said), (table, _) = [child.communicate(timeout=10) for child in children]
        assert [child.returncode for child in children] == [0, 0]
        items = [json.loads(line) for line in lines.splitlines()]
        assert {i["value"] for i in items} == {"n1", "n2", "n3"}, lines
        assert all({"time", "topic", "value", "seen", "copied", "size", "advised"} <= set(i) for i in items)
        assert "1 message made no sense" in said
        assert all(v in table for v in ("n1", "n2", "n3"))
    finally:
        for child in children:
            proc.reap(child, signal.SIGKILL)
