"""state, advisories and gossip: what they print, for people and for programs, and what they refuse."""

import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from lib import proc
from lib.nats import block
from lib.replicator import environment, program, topic

SAMPLED = {"inspect_field": "sender", "inspect_duration": "1h"}
GOSSIP = "choria.stream-replicator.sync.S.t"


def advisory(event, value, age=0, at=0, **more):
    now = int(time.time()) + at
    return json.dumps({"protocol": "io.choria.sr.v2.age_advisory", "event_id": f"id-{event}-{value}",
                       "inspect_field": "sender", "age": age, "seen": now - age, "replicator": "THERE",
                       "timestamp": now, "event": event, "value": value, **more}).encode()


def old_advisory(event, value):
    now = int(time.time())
    return json.dumps({"$schema": "https://choria.io/schemas/sr/v1/age_advisory.json", "inspect": "sender",
                       "value": value, "age": -1, "seen": 0, "replicator": "THERE", "timestamp": now,
                       "event": event}).encode()


@pytest.fixture
def advisories(scene, source, target):
    """A configuration whose advisories go to the target, and a stream there that holds some."""
    with target.client() as t:
        t.create_stream("ADV", "adv.>")
        for body in (advisory("new", "a"), advisory("timeout", "a", 725), b"no advisory", advisory("new", "b c")):
            t.js_publish("adv.x", body)
        t.js_publish("adv.x", old_advisory("expire", "a"), block("Nats-Msg-Id: old-id"))
    return scene.prepare({"s": topic(source, target, stream="OTHER", advisory={"subject": "adv.%s"}, **SAMPLED),
                          "t": topic(source, target, advisory={"subject": "adv.%s", "cluster": "target"},
                                     **SAMPLED)})


def test_advisories_for_programs(advisories):
    done = advisories.command("advisories", "ADV", "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert [(a["event"], a["value"]) for a in found] == [("new", "a"), ("timeout", "a"), ("new", "b c"),
                                                         ("expire", "a")]
    assert set(found[0]) == {"time", "event", "value", "seen", "age", "replicator", "event_id"}
    assert found[1]["age"] == 725 and found[1]["event_id"] == "id-timeout-a" and found[1]["time"].endswith("Z")
    assert found[3]["age"] is None and found[3]["seen"] is None and found[3]["event_id"] == "old-id"
    assert "1 message of stream ADV is no advisory" in done.stderr


def test_advisories_of_one_value(advisories):
    found = json.loads(advisories.command("advisories", "ADV", "a", "--json").stdout)
    assert [a["event"] for a in found] == ["new", "timeout", "expire"]
    done = advisories.command("advisories", "ADV", "nobody", "--json")
    assert done.returncode == 0 and json.loads(done.stdout) == []


def test_advisories_for_people(advisories):
    done = advisories.command("advisories", "ADV")
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and lines[0].split() == ["TIME", "EVENT", "AGE", "SEEN", "BY", "VALUE"], done
    assert "12 m 5 s" in lines[2] and lines[3].endswith("b c")


def test_advisories_since(advisories, target):
    time.sleep(1.5)
    with target.client() as t:
        t.js_publish("adv.x", advisory("recover", "a"))
    found = json.loads(advisories.command("advisories", "ADV", "--since", "1s", "--json").stdout)
    assert [a["event"] for a in found] == ["recover"]


def test_unknown_stream(advisories, scene, source, target):
    done = advisories.command("advisories", "NOSUCH")
    assert done.returncode == 1 and "NOSUCH" in done.stderr, done
    r = scene.prepare({"t": topic(source, target)})
    done = r.command("advisories", "ADV")
    assert done.returncode == 1 and "ADV" in done.stderr and "advisory" in done.stderr, done


def lines_of(r, *args):
    """A command that goes on; its standard output is a file that grows."""
    path = os.path.join(r.dir, "followed")
    with open(path, "wb") as out:
        child = proc.spawn([program(), *args, "--config", r.conf], stdout=out, stderr=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, env=environment())
    return child, path


def read_lines(path, count, timeout=15):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with open(path) as f:
            lines = f.read().splitlines()
        if len(lines) >= count:
            return lines
        time.sleep(0.05)
    raise AssertionError(f"only {lines}")


def finish(child):
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=10) == 0


def test_advisories_are_followed(advisories, target):
    """Also over the server's end; nothing is shown twice."""
    child, path = lines_of(advisories, "advisories", "ADV", "--follow", "--json")
    assert len(read_lines(path, 4)) == 4
    with target.client() as t:
        t.js_publish("adv.x", advisory("new", "later"))
    read_lines(path, 5)
    target.kill()
    target.start()
    with target.client() as t:
        t.js_publish("adv.x", advisory("new", "latest"))
    lines = read_lines(path, 6)
    assert [json.loads(line)["value"] for line in lines] == ["a", "a", "b c", "a", "later", "latest"]
    finish(child)
    with target.client() as t:
        assert not t.consumers("ADV")


def test_gossip(scene, source, target):
    r = scene.prepare({"t": topic(source, target, **SAMPLED), "plain": topic(source, target, target_stream="P",
                                                                            name="plain")})
    child, path = lines_of(r, "gossip", "--json")
    item = {"seen": "2026-01-31T12:00:00Z", "copied": "0001-01-01T00:00:00Z", "size": 12, "value": "a"}
    with source.client() as s:
        end = time.monotonic() + 10
        while time.monotonic() < end and not os.path.getsize(path):
            s.publish(GOSSIP, json.dumps(item).encode())
            s.publish(GOSSIP, b"no item")
            s.publish(GOSSIP.replace(".t", ".plain"), json.dumps(item).encode())
            s.flush()
            time.sleep(0.2)
    found = json.loads(read_lines(path, 1)[0])
    heard = found.pop("time")
    assert heard.endswith("Z")
    assert found == {"topic": "t", "value": "a", "seen": "2026-01-31T12:00:00.000Z", "copied": None, "size": 12,
                     "advised": False}
    finish(child)
    said = child.stderr.read()
    assert b"made no sense" in said
    assert b'topic "t" is told of only with gossip = true' in said and b"plain" not in said


def test_gossip_without_a_sampled_topic(scene, source, target):
    done = scene.prepare({"t": topic(source, target)}).command("gossip")
    assert done.returncode == 1 and "no sampled topic" in done.stderr, done


def test_gossip_without_the_right(scene, target):
    users = ('{ user: a, password: a, permissions: { subscribe: { deny: "%s" } } }, { user: b, password: b }'
             % GOSSIP)
    source = scene.server(users=users, user="b", password="b")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url_for(source.port, "a", "a"),
                             "target_url": target.url, **SAMPLED}})
    done = r.command("gossip")
    assert done.returncode == 1 and "ermission" in done.stderr and GOSSIP in done.stderr, done


@pytest.fixture
def values(scene, source, target):
    """A state file with some values, of a daemon that does not run."""
    r = scene.replicate(source, target, **SAMPLED)
    r.stop()
    now = int(time.time() * 1000)
    rows = [("t", "host.a", now, now - 1000, 10, 0), ("t", "host.b", now - 7200000, 0, 20, 1),
            ("gone", "x", now, now, 30, 0)]
    db = sqlite3.connect(os.path.join(r.state_dir, "state.db"))
    db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.commit()
    db.close()
    return r


def test_state_for_programs(values):
    done = values.command("state", "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert [(v["topic"], v["value"]) for v in found] == [("gone", "x"), ("t", "host.a"), ("t", "host.b")]
    assert set(found[0]) == {"topic", "value", "seen", "copied", "size", "advised"}
    assert found[2]["copied"] is None and found[2]["advised"] is True and found[2]["size"] == 20


@pytest.mark.parametrize("options, want", [
    (["--topic", "t"], ["host.a", "host.b"]), (["--value", "st[.]a$"], ["host.a"]),
    (["--value", "^x|b$"], ["x", "host.b"]),
    (["--since", "1h", "--topic", "t"], ["host.a"]), (["--advised"], ["host.b"]), (["--value", "none"], [])])
def test_state_selects(values, options, want):
    found = json.loads(values.command("state", "--json", *options).stdout)
    assert [v["value"] for v in found] == want


def test_state_for_people(values):
    done = values.command("state", "--topic", "t")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["TOPIC", "SEEN", "COPIED", "SIZE", "ADVISED", "VALUE"] and len(lines) == 3, done
    assert "silent" in lines[2] and "silent" not in lines[1]


def test_state_refuses(values, scene, source, target):
    done = values.command("state", "--value", "(")
    assert done.returncode == 2 and '"("' in done.stderr, done
    done = values.command("state", "--topic", "nosuch")
    assert done.returncode == 1 and "nosuch" in done.stderr, done
    done = values.command("state", "--since", "yesterday")
    assert done.returncode == 2 and "yesterday" in done.stderr, done
    done = scene.prepare({"t": topic(source, target, **SAMPLED)}).command("state")
    assert done.returncode == 1 and "state.db is not there" in done.stderr, done


def test_verify_of_a_sampled_topic(scene, source, target):
    """What was passed over is not missing; a message without a value would be."""
    with source.client() as s:
        for i in range(30):
            s.js_publish("s.x", json.dumps({"sender": f"n{i % 3}"}).encode())
        s.js_publish("s.x", b"{}")
    r = scene.replicate(source, target, **SAMPLED)
    r.wait_committed(31)
    done = r.command("verify", "t", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["equal"], found
    assert found["target_msgs"] == 4 and found["sampled_msgs"] == 27, found
    with target.client() as t:
        t.delete_message("S", 4)
    found = json.loads(r.command("verify", "t", "--json").stdout)
    assert found["missing"] == [31], found
