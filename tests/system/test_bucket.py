"""What can be wrong with the election bucket, and what can happen to it while nodes lead and stand by. Never
a leader by guess, never a silent stop."""

import time

import pytest

from lib.nodes import largest_gap
from lib.proc import wait_until

TTL = 2.0


def at(client):
    return client.last_seq("S") if client.has_stream("S") else 0


def copied(client, more, timeout=30.0):
    want = at(client) + more
    wait_until(lambda: at(client) >= want, timeout, f"copy {want}")


def own_server(scene, source, target, **kw):
    """A pair whose bucket has a server of its own."""
    server = scene.server()
    return server, scene.pair(source, target, election={"url": server.url}, **kw)


# ---- it goes and comes -----------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "frozen"])
def test_server_of_the_bucket_is_away(scene, source, target, finish, kill):
    """The leader stops at the end of its lease; both go on when the bucket is back."""
    server, team = own_server(scene, source, target)
    w = scene.writer(source, rate=300)
    team.start()
    leader, _ = team.settled()
    t = scene.client(target)
    copied(t, 100)
    server.kill() if kill else server.freeze()
    leader.wait_topic(lambda e: e["role"] == "standby", TTL + 3, what="demoted")
    for node in team:
        wait_until(lambda: not node.status()["ok"], 20, "said that not all is well")
        assert node.wait_election("WORK", lambda e: e["role"] != "leader")
        assert node.command("status").returncode == 1
    before = at(t)
    time.sleep(0.5)
    assert at(t) == before, "nobody copies without a bucket"
    server.start() if kill else server.thaw()
    team.wait_leader(timeout=30)
    copied(t, 100)
    for node in team:
        wait_until(lambda: node.status()["ok"], 20, "all is well again")
    finish(w, source, target)


def test_short_absence_is_not_noticed(scene, source, target, finish):
    """A bucket's server that restarts within the lease costs nothing."""
    server, team = own_server(scene, source, target, ttl="8s")
    w = scene.writer(source, rate=300)
    team.start()
    leader, _ = team.settled()
    t = scene.client(target)
    copied(t, 100)
    term, before = leader.election("WORK")["term"], at(t)
    server.restart(kill=True)
    wait_until(lambda: leader.election("WORK")["lease_ms"] > 6500, 12, "a renewal")
    assert leader.election("WORK")["term"] == term
    gap = largest_gap(finish(w, source, target), before)
    assert gap < 1, gap


def test_bucket_is_deleted(scene, source, target, finish):
    w = scene.writer(source, rate=300)
    team = scene.pair(source, target).start()
    team.settled()
    bucket, t = scene.bucket(source), scene.client(target)
    copied(t, 100)
    bucket.delete_bucket()
    wait_until(bucket.exists, 15, "the bucket made anew")
    wait_until(lambda: isinstance(bucket.holder("WORK"), dict), 15, "a leader in it")
    leader = team.wait_leader()
    assert bucket.holder("WORK")["pid"] == leader.election("WORK")["pid"]
    copied(t, 200)
    finish(w, source, target)


def test_bucket_is_deleted_and_not_to_be_made(scene, source, target, finish):
    w = scene.writer(source, rate=300)
    bucket, t = scene.bucket(source), scene.client(target)
    bucket.create(TTL)
    team = scene.pair(source, target, election={"create": False}).start()
    leader, _ = team.settled()
    copied(t, 100)
    bucket.delete_bucket()
    leader.wait_topic(lambda e: e["role"] == "standby", 10, what="demoted")
    for node in team:
        wait_until(lambda: bucket.name in " ".join(node.status()["problems"]), 15, "words about it")
    bucket.create(TTL)
    team.wait_leader(timeout=30)
    copied(t, 100)
    finish(w, source, target)


def test_key_is_deleted_by_hand(scene, source, target, finish):
    """Whoever takes it: two never work at once."""
    w = scene.writer(source, rate=300)
    team = scene.pair(source, target).start()
    leader, _ = team.settled()
    bucket, t = scene.bucket(source), scene.client(target)
    copied(t, 100)
    term = leader.election("WORK")["term"]
    bucket.delete("WORK")
    wait_until(lambda: bucket.entry("WORK").operation == "", 5, "taken again")
    leader = team.wait_leader()
    leader.wait_election("WORK", lambda e: e["term"] > term)
    copied(t, 200)
    finish(w, source, target)


def test_key_is_overwritten_by_hand(scene, source, target, finish):
    """The leader lets go at once, and nobody leads before that text has expired."""
    w = scene.writer(source, rate=300)
    team = scene.pair(source, target).start()
    leader, _ = team.settled()
    bucket, t = scene.bucket(source), scene.client(target)
    copied(t, 100)
    bucket.write("WORK", b"somebody")
    for node in team:
        node.wait_election("WORK", lambda e: e["leader"] == "somebody" and e["role"] == "standby", 1.5)
    team.wait_leader()
    copied(t, 100)
    finish(w, source, target)


# ---- its settings ----------------------------------------------------------------------------------


def test_ttl_is_the_buckets(scene, source, target, finish):
    """Configured 30 s, made by hand with 2 s: 2 s count."""
    scene.bucket(source).create(TTL)
    w = scene.writer(source, rate=300)
    team = scene.pair(source, target, ttl="30s").start()
    leader, _ = team.settled()
    assert leader.election("WORK")["lease_ms"] <= 2000
    t = scene.client(target)
    copied(t, 100)
    before = at(t)
    leader.kill_all()
    team.wait_leader(but=leader)
    copied(t, 100)
    gap = largest_gap(finish(w, source, target), before)
    assert gap < TTL + 2.5, gap


def test_ttl_changes_while_running(scene, source, target, finish):
    bucket = scene.bucket(source).create(20)
    w = scene.writer(source, rate=300)
    team = scene.pair(source, target).start()
    leader, _ = team.settled()
    assert leader.election("WORK")["lease_ms"] > 5000
    bucket.client.update_stream(bucket.stream, max_age=2 * 10**9, duplicate_window=2 * 10**9)
    leader.wait_election("WORK", lambda e: 0 < (e["lease_ms"] or 0) <= 2000, 30, "a lease of the new length")
    leader.kill_all()
    team.wait_leader(but=leader)
    finish(w, source, target)


def test_a_bucket_is_made_as_configured(scene, source, target):
    team = scene.pair(source, target, election={"bucket": "MINE", "ttl": "7s"}).start()
    team.settled()
    c = scene.bucket(source, "MINE").config()
    assert (c["max_age"], c["num_replicas"], c["storage"]) == (7 * 10**9, 1, "file"), c
    assert c["max_msgs_per_subject"] == 1 and c["allow_rollup_hdrs"] and c["deny_delete"], c
    assert c["discard"] == "new", c


BAD = {
    "ttl below 1 s": ({"ttl_s": 0.5}, ["TTL", "500ms", "1s"]),
    "ttl above 1 h": ({"ttl_s": 7200}, ["TTL", "2h", "1h"]),
    "no ttl": ({"ttl_s": 0}, ["no TTL"]),
    "history": ({"history": 5}, ["history", "5"]),
    "memory of one server": ({"storage": "memory"}, ["memory"]),
    "not a bucket": ({"subjects": ["elsewhere.>"]}, ["no bucket"]),
    "small messages": ({"max_msg_size": 20}, ["20 bytes"]),
    "sealed": ({}, ["sealed"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bucket_that_cannot_be_used(scene, source, target, case):
    """In words in status, log and check --connect; and tried again until it can."""
    settings, words = BAD[case]
    bucket = scene.bucket(source).create(**settings)
    if case == "sealed":
        bucket.client.update_stream(bucket.stream, sealed=True)
    node = scene.pair(source, target, count=1)[0]
    done = node.command("check", "--connect")
    assert done.returncode == 1 and says(done.stdout + done.stderr, bucket.name, *words), done
    node.start()
    wait_until(lambda: says(" ".join(node.status()["problems"]), bucket.name, *words), 15, "words in the status")
    wait_until(lambda: says(node.command("status").stdout, *words), 5, "words in the table")
    wait_until(lambda: says(node.log(1000), bucket.name, *words), 5, "words in the log")
    assert node.role() == "standby" and bucket.holder("WORK") is None
    bucket.delete_bucket()
    wait_until(lambda: node.role() == "leader" and node.status()["ok"], 40, "a leader when it is gone")


def says(text, *words):
    return all(w in text for w in words)


RIGHTS = {
    "no write": '"$KV.>"',
    "no stream info": '"$JS.API.STREAM.INFO.KV_CHORIA_LEADER_ELECTION"',
}


@pytest.mark.parametrize("case", RIGHTS)
def test_without_rights(scene, target, case):
    users = ('{ user: "boss", password: "p" }, '
             f'{{ user: "low", password: "p", permissions: {{ publish: {{ deny: [ {RIGHTS[case]} ] }} }} }}')
    source = scene.server(users=users, user="boss", password="p")
    with source.client() as c:
        c.create_stream("S", "s.>")
    bucket = scene.bucket(source).create(TTL)
    source.user = "low"
    node = scene.pair(source, target, count=1)[0]
    done = node.command("check", "--connect")
    assert done.returncode == 1 and "permission" in (done.stdout + done.stderr).lower(), done
    node.start()
    wait_until(lambda: "permission" in " ".join(node.status()["problems"]).lower(), 25, "words about it")
    assert node.role() == "standby" and bucket.holder("WORK") is None
    source.users = users.replace(f'"$KV.>"' if case == "no write" else RIGHTS[case], '"nothing"')
    source.reload()
    wait_until(lambda: node.role() == "leader", 30, "a leader when it may")


def test_check_connect_says_what_it_finds(scene, source, target):
    node = scene.pair(source, target, count=1)[0]
    done = node.command("check", "--connect", check=True)
    assert "CHORIA_LEADER_ELECTION" in done.stdout, done.stdout
    bucket = scene.bucket(source)
    assert not bucket.exists(), "a check makes nothing"
    node.start()
    wait_until(lambda: node.role() == "leader", 10, "a leader")
    term = node.election("WORK")["term"]
    done = node.command("check", "--connect", check=True)
    assert "WORK" in done.stdout, done.stdout
    assert node.role() == "leader" and node.election("WORK")["term"] == term


def test_check_connect_says_what_is_too_far_away(scene, source, target):
    """No answer would come in time, so that nobody would ever lead."""
    url = source.url_for(scene.link(source, rtt_ms=300).port)
    node = scene.pair(source, target, count=1, ttl="1s", election={"url": url})[0]
    done = node.command("check", "--connect")
    assert done.returncode == 1 and "longer TTL" in done.stdout, done.stdout
    node = scene.pair(source, target, count=1, ttl="10s", election={"url": url})[0]
    node.command("check", "--connect", check=True)


def test_a_leader_with_other_settings_is_told_of(scene, source, target):
    one = scene.pair(source, target, count=1)[0].start()
    wait_until(lambda: one.role() == "leader", 10, "a leader")
    same = scene.pair(source, target, count=1)[0].start()
    other = scene.pair(source, target, count=1, target_subject_prefix="x")[0].start()
    other.wait_log("copies with other settings")
    same.wait_standby()
    assert "other settings" not in same.log(), same.log()


# ---- what stands in the key ------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"go-node-7.example.net", b"", b"{\"node\": 5}", b"[1,2", b"\xff\x00\x1b[31m"],
                         ids=["text", "empty", "numbers", "half", "bytes"])
def test_unknown_value_in_the_key(scene, source, target, value):
    """Whatever it is, somebody leads until it expires."""
    bucket = scene.bucket(source).create(3)
    revision = bucket.create_key("WORK", value)
    node = scene.pair(source, target, count=1)[0].start()
    e = node.wait_election("WORK", lambda e: e["term"] or e["leader"])
    assert e["role"] == "standby"
    if value.startswith(b"go-node"):
        assert e["leader"] == value.decode()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        revision = bucket.update("WORK", value, revision)
        assert revision, "nobody else may write while it is renewed"
        assert node.role() == "standby"
        time.sleep(0.3)
    wait_until(lambda: node.role() == "leader", 3 + 3, "a leader after its end")
    assert bucket.entry("WORK").time_ns > 0
