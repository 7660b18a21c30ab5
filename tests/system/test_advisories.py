"""Advisories: what is said of a sender that is new, silent, back, or forgotten; where, when, and how surely."""

import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from lib import proc
from lib.advisories import Reader
from lib.nodes import Node
from lib.proc import wait_until
from lib.replicator import environment, program, topic
from lib.sampling import say, tell, waves


def advise(scene, source, target, duration="1m", warn="2s", top=None, **section):
    """Advisories go to adv.%s of the source, unless section says otherwise."""
    return scene.replicate(source, target, top, inspect_field="sender", inspect_duration=duration, warn_duration=warn,
                           advisory={"subject": "adv.%s", **section})


@pytest.mark.parametrize("cluster,reliable,schema", [
    ("source", False, "v2"), ("target", True, "v1"), ("source", True, "v2"), ("target", False, "v1"),
], ids=lambda x: {True: "reliable", False: "core"}.get(x, x))
def test_life_of_a_sender(scene, source, target, cluster, reliable, schema):
    """New, silent, back, silent again, forgotten, new: each said once and in time."""
    adv = Reader(source if cluster == "source" else target)
    r = advise(scene, source, target, "4s", "1s", cluster=cluster, reliable=reliable, schema=schema)
    tell(source, [say("n1")])
    new, = adv.wait("new")
    out, = adv.wait("timeout", timeout=4)
    tell(source, [say("n1", 1)])
    back, = adv.wait("recover", timeout=4)
    adv.wait("timeout", count=2, timeout=4)
    gone, = adv.wait("expire", timeout=10)
    tell(source, [say("n1", 2)])
    adv.wait("new", count=2, timeout=4)
    with source.client() as c:
        first, second, _ = [m.time_ns / 1e9 for m in c.read_stream("S")]
    said = adv.check_each_once()
    assert [a.event for a in said] == ["new", "timeout", "recover", "timeout", "expire", "new"]
    assert all(a.body["replicator"] == "HERE" and a.subject == f"adv.{a.event}" for a in said)
    assert all(a.body["inspect" if schema == "v1" else "inspect_field"] == "sender" for a in said)
    assert [a.seen for a in (new, out)] == [int(first)] * 2 and [a.seen for a in (back, gone)] == [int(second)] * 2
    assert 1 <= out.stored_ms / 1000 - first < 2.5 and 4 <= gone.stored_ms / 1000 - second < 8.5
    assert new.age == 0 and out.age in (1, 2) and 4 <= gone.age <= 8, said
    assert all(abs(a.timestamp - a.stored_ms / 1000) < 1.5 for a in said)
    assert all(bool(a.id) == (reliable or schema == "v2") for a in said)
    want = {"new": 2, "timeout": 2, "recover": 1, "expire": 1, "errors": 0, "dropped": 0, "waiting": 0}
    r.wait_topic(lambda t: t["sampling"]["advisories"] == want, 5, what=str(want))


def test_timeouts_of_many_come_in_time(scene, source, target):
    adv = Reader(source)
    r = advise(scene, source, target, "1m", "2s", reliable=True)
    last = tell(source, waves(3000, 1))
    r.wait_committed(last)
    with source.client() as c:
        seen = {json.loads(m.data)["sender"]: m.time_ns / 1e6 for m in c.read_stream("S")}
    said = adv.wait("timeout", count=3000, timeout=10)
    late = [a.stored_ms - seen[a.value] - 2000 for a in said]
    assert 0 <= min(late) and max(late) < 1500, (min(late), max(late))
    r.wait_topic(lambda t: t["sampling"]["advised"] == 3000, 5)
    adv.check_each_once()


def test_subjects_of_odd_values(scene, source, target):
    """They go where they may, and nowhere else; the body has the value as it is."""
    odd = {"host.example.net": "host.example.net", "a b": "a_b", "a*>": "a__", "tab\there": "tab_here", ">": "_",
           "a..b": "a._.b", ".": "_._", "$SYS.x": "$SYS.x", "žluťoučký": "žluťoučký", "line\nend": "line_end",
           'quo"te\\': 'quo"te\\', "x" * 255: "x" * 255}
    adv = Reader(source)
    r = advise(scene, source, target, subject="adv.%s.%v", reliable=True)
    body = [(f"s.{i}", json.dumps({"sender": v}).encode(), b"") for i, v in enumerate(odd)]
    long = "y" * 1000
    last = tell(source, [*body, ("s.long", json.dumps({"sender": long}).encode(), b"")])
    r.wait_committed(last)
    said = adv.wait("new", count=len(odd) + 1)
    assert {a.value: a.subject for a in said[:-1]} == {v: f"adv.new.{s}" for v, s in odd.items()}
    assert said[-1].value.startswith("y" * 200 + "y" * 38 + "~") and len(said[-1].value) == 255
    r.wait_topic(lambda t: t["counters"]["values_cut"] == 1, 5)


# ---- the outbox ------------------------------------------------------------------------------------


def outbox(r):
    return r.database("SELECT id, subject, body FROM advisory_outbox WHERE topic = 't' ORDER BY id")


def test_outbox_survives(scene, source, target):
    """No stream takes them, then everything dies: they are there, and are delivered by the next process."""
    adv = Reader(source, make=False)
    node = scene.add(Node({"t": topic(source, target, inspect_field="sender", inspect_duration="1m", warn_duration="1s",
                                      advisory={"subject": "adv.%s", "reliable": True})}))
    node.start()
    last = tell(source, waves(50, 1))
    node.wait_committed(last)
    rows = wait_until(lambda: len(x := outbox(node)) == 100 and x, 10, "all are kept")
    assert {json.loads(body)["event_id"] for _, _, body in rows} == {row[0] for row in rows}
    node.kill_all()
    assert outbox(node) == rows
    Reader(source)
    node.start()
    wait_until(lambda: outbox(node) == [], 15, "they are delivered")
    assert {a.id: a.body for a in adv.check_once()} == {row[0]: json.loads(row[2]) for row in rows}


def test_killed_while_they_are_sent(scene, source, target):
    """Nothing is said twice, and nothing is left out."""
    adv = Reader(source)
    node = scene.add(Node({"t": topic(source, target, inspect_field="sender", inspect_duration="1m", warn_duration="1s",
                                      rate_limit="800/s", advisory={"subject": "adv.%s", "reliable": True})}))
    node.start()
    wait_until(lambda: node.database("SELECT value FROM meta WHERE key = 'sampled:t'"), 5, "a first note")
    last = tell(source, waves(2000, 1))
    for count in (100, 900):
        with source.client() as c:
            wait_until(lambda: c.state("ADV")["messages"] >= count, 15, f"{count} advisories", every=0.01)
        node.kill_all()
        node.start()
    node.wait_committed(last)
    adv.wait("timeout", count=2000, timeout=20)
    want = {(event, f"n{i}"): 1 for event in ("new", "timeout") for i in range(2000)}
    wait_until(lambda: outbox(node) == [], 10, "all are delivered")
    assert adv.counts() == want


def test_given_up(scene, source, target):
    """A row of nine tries gets its last one: then it is an incident, and gone."""
    last = tell(source, waves(1, 1))
    r = advise(scene, source, target, warn="30s", reliable=True)
    r.wait_committed(last)
    wait_until(lambda: outbox(r), 10, "it is kept")
    assert r.stop() == 0
    db = sqlite3.connect(os.path.join(r.state_dir, "state.db"), timeout=5)
    with db:
        db.execute("UPDATE advisory_outbox SET tries = 9, next_try = 0")
    db.close()
    r.start()
    r.wait_incident("advisory_given_up")
    wait_until(lambda: outbox(r) == [], 10, "it is gone")
    r.wait_topic(lambda t: t["sampling"]["advisories"]["dropped"] == 1, 5)


# ---- the verb --------------------------------------------------------------------------------------


def test_verb(scene, source, target):
    Reader(source)
    r = advise(scene, source, target, "1m", "1s", reliable=True)
    last = tell(source, waves(3, 1))
    r.wait_committed(last)
    wait_until(lambda: len(rows_of(r)) == 6, 10, "all are there")
    tell(source, [(f"adv.{i}", body, b"") for i, body in enumerate((b"no JSON", b"{}", b""))])
    rows = rows_of(r)
    assert {(a["event"], a["value"]) for a in rows} == {(e, f"n{i}") for e in ("new", "timeout") for i in range(3)}
    assert set(rows[0]) == {"time", "event", "value", "seen", "age", "replicator", "event_id"}
    assert rows[0]["replicator"] == "HERE" and rows[0]["time"].endswith("Z") and isinstance(rows[0]["age"], (int, float))
    assert [a["event"] for a in rows_of(r, "n1")] == ["new", "timeout"]
    assert rows_of(r, "nobody") == []
    assert len(rows_of(r, "--since", "1h")) == 6
    time.sleep(1.1)
    assert rows_of(r, "--since", "1s") == []
    text = r.command("advisories", "ADV", check=True).stdout
    assert "timeout" in text and "n2" in text and "HERE" in text
    bad = r.command("advisories", "NONE")
    assert bad.returncode == 1 and "NONE" in bad.stderr


def rows_of(r, *args):
    return json.loads(r.command("advisories", "ADV", *args, "--json", check=True).stdout)


def test_verb_that_follows(scene, source, target):
    """What is there and what comes, a line each, until it is interrupted."""
    Reader(source)
    r = advise(scene, source, target, "1m", "30s", reliable=True)
    last = tell(source, waves(2, 1))
    r.wait_committed(last)
    wait_until(lambda: len(rows_of(r)) == 2, 10, "two")
    child = proc.spawn([program(), "advisories", "ADV", "--follow", "--json", "--config", r.conf],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        assert {json.loads(child.stdout.readline())["value"] for _ in range(2)} == {"n0", "n1"}
        tell(source, [say("n2")])
        assert json.loads(child.stdout.readline())["value"] == "n2"
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0 and child.stdout.read() == ""
    finally:
        proc.reap(child, signal.SIGKILL)
