"""What is known of senders, as people and tools read it: verb `state`, state.db, `status`; and that a million of
them are no burden."""

import json
import os
import re
import sqlite3
import time

from lib.advisories import Reader
from lib.commits import Commits
from lib.nats import time_ns
from lib.proc import memory_mb, wait_until
from lib.sampling import say, tell, waves


def sampled(scene, source, target, duration="10m", **options):
    return scene.replicate(source, target, **{"inspect_field": "sender", "inspect_duration": duration, **options})


def rows_of(r, *args):
    return json.loads(r.command("state", *args, "--json", check=True).stdout)


def wait_rows(r, count):
    wait_until(lambda: r.database("SELECT count(*) FROM sample") == [(count,)], 10, f"{count} rows")


# ---- what is shown ---------------------------------------------------------------------------------


def test_verb(scene, source, target):
    Reader(source)
    names = ["web1.eu", "web2.eu", "db1.us", 'q"\\ü', "long" + "x" * 300]
    last = tell(source, [(f"s.{i}", json.dumps({"sender": n}).encode(), b"") for i, n in enumerate(names)])
    r = sampled(scene, source, target, warn_duration="1500ms", advisory={"subject": "adv.%s", "reliable": True})
    r.wait_committed(last)
    wait_rows(r, 5)
    rows = rows_of(r)
    assert [set(x) for x in rows] == [{"topic", "value", "seen", "copied", "size", "advised"}] * 5
    assert {x["value"] for x in rows[:]} >= set(names[:4])
    with source.client() as c:
        said = {json.loads(m.data)["sender"]: m for m in c.read_stream("S")}
    for x in rows:
        m = said.get(x["value"])
        if m is not None:
            ms = m.time_ns // 10**6
            assert (time_ns(x["seen"]) // 10**6, time_ns(x["copied"]) // 10**6, x["size"]) == (ms, ms, len(m.data))
        assert x["topic"] == "t"
    assert {x["value"] for x in rows_of(r, "--value", r"^web[0-9]\.")} == {"web1.eu", "web2.eu"}
    assert {x["value"] for x in rows_of(r, "--value", "1")} == {"web1.eu", "db1.us"}
    wait_until(lambda: len(rows_of(r, "--advised")) == 5, 15, "all are silent")
    tell(source, [say("db1.us", 1)])
    wait_until(lambda: len(rows_of(r, "--advised")) == 4, 10, "one is back")
    assert {x["value"] for x in rows_of(r, "--since", "1h")} == {x["value"] for x in rows}
    time.sleep(1)
    assert rows_of(r, "--since", "1s") == []
    text = r.command("state", "--topic", "t", check=True).stdout
    assert all(n in text for n in names[:3]) and len(text.splitlines()) >= 6
    for args, code, word in ((["--value", "("], 2, "("), (["--topic", "none"], 1, "none")):
        bad = r.command("state", *args)
        assert bad.returncode == code and word in bad.stderr, bad
    assert r.stop() == 0
    assert len(rows_of(r)) == 5, "nothing needs to run for it"


def test_view_reads_well(scene, source, target):
    """As somebody with sqlite3 sees it while the daemon runs."""
    last = tell(source, waves(3, 1))
    r = sampled(scene, source, target)
    r.wait_committed(last)
    wait_rows(r, 3)
    db = sqlite3.connect(f"file:{r.state_dir}/state.db?mode=ro", uri=True)
    cursor = db.execute("SELECT * FROM v_sample ORDER BY value")
    assert [c[0] for c in cursor.description] == ["topic", "value", "seen", "copied", "size", "advised"]
    rows = cursor.fetchall()
    db.close()
    assert [x[:2] for x in rows] == [("t", f"n{i}") for i in range(3)]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", t) for x in rows for t in x[2:4]), rows
    assert abs(time.time() - time.mktime(time.strptime(rows[0][2], "%Y-%m-%d %H:%M:%S")) + time.timezone) < 120


def test_status(scene, source, target):
    messages = [*waves(10, 5), say("n1", 9, flag=True), ("s.x", b"no JSON", b""), ("s.x", b"{}", b""),
                say("n2", 9, size=900), say("n2", 9, size=900)]
    last = tell(source, messages)
    r = sampled(scene, source, target, inspect_force_field="flag", size_trigger=500, advisory={"subject": "adv.%s"})
    r.wait_committed(last)
    want = {"tracked": 10, "seen": 53, "copied": 12, "skipped": 41, "forced": 1, "size_triggered": 1,
            "without_value": 2, "untracked": 0, "advised": 0}
    r.wait_topic(lambda t: {k: t["sampling"][k] for k in want} == want, 5, what=str(want))
    t = r.topic()
    assert (t["copied"], t["skipped"]) == (14, 41) and t["sampling"]["advisories"]["new"] == 10
    text = r.command("status").stdout
    assert re.search(r"^SAMPLED +VALUES", text, re.M) and re.search(r"^t +10 +", text, re.M), text


def test_table_that_is_full(scene, source, target):
    """Further senders are all copied, counted, and told of once."""
    last = tell(source, waves(30, 3))
    r = sampled(scene, source, target, inspect_max_values=20)
    r.wait_committed(last)
    with target.client() as t:
        assert t.last_seq("S") == 20 + 10 * 3
    r.wait_topic(lambda t: t["sampling"]["untracked"] == 30 and t["sampling"]["tracked"] == 20, 5)
    r.wait_incident("values_full")
    assert len(r.incidents()) == 1


# ---- a million -------------------------------------------------------------------------------------

MILLION = 1_000_000


def test_a_million_senders(scene, source, target):
    """At most one transaction a second, 200 MB, and three seconds to the first copy after a restart. Rows of so
    many at once are written over a minute, or at the end; all are there then."""
    r = sampled(scene, source, target, "1h")
    r.wait_state("copying")
    commits = Commits(os.path.join(r.state_dir, "state.db"))
    with source.client() as c:
        last = c.publish_many(((f"s.{n % 100}", b'{"sender":"host%07d.example.net","up":true}' % n)
                               for n in range(MILLION)), every=500, window=8000, timeout=60)
    r.wait_committed(last, 100)
    rate = commits.rate()
    peak = memory_mb(r.worker_pid(), "VmHWM")
    r.wait_topic(lambda t: t["sampling"]["tracked"] == MILLION, 5)
    began = time.monotonic()
    assert r.stop(60) == 0
    stopped = time.monotonic() - began
    assert r.database("SELECT count(*) FROM sample") == [(MILLION,)]
    tell(source, [say("host0000007.example.net"), say("another")])
    with target.client() as t:
        began = time.monotonic()
        r.start(ready=False)
        wait_until(lambda: t.last_seq("S") > MILLION, 30, "a copy", every=0.01)
        took = time.monotonic() - began
        r.wait_committed(last + 2)
        assert t.last_seq("S") == MILLION + 1
    print(f"{rate:.2f} transactions/s, {peak:.0f} MB, {stopped:.1f} s to stop, {took:.2f} s to the first copy")
    assert rate <= 1.1 and peak <= 200 and took < 3, (rate, peak, took)
