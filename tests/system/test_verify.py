"""verify: finds what differs, names it, and says 0 only where nothing does."""

import json
import subprocess
import threading
import time

import pytest

from lib import odd
from lib.nats import block
from lib.replicator import program, topic
from lib.writer import fill


@pytest.fixture
def copied(scene, source, target):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    r.stop()
    return r


def verify(r, *args):
    done = r.command("verify", "t", "--json", *args)
    result = json.loads(done.stdout)
    assert {"equal", "source_msgs", "target_msgs", "missing", "extra", "changed", "reordered"} <= set(result)
    assert done.returncode == (0 if result["equal"] else 1), done
    return result


def rebuild(source, target, change):
    """Makes the target anew from its own messages, with a change: one cannot edit a stream."""
    with target.client() as t:
        stored = t.read_stream("S")
        t.delete_stream("S")
        t.create_stream("S", "s.>")
        t.publish_many((m.subject, m.data, strip(m.headers)) for m in change(stored))


def strip(raw):
    """Without what only the moment of the first publish could fulfil."""
    lines = [x for x in raw[:-4].split(b"\r\n")[1:] if not x.lower().startswith(b"nats-expected")]
    return block(*lines)


def test_equal(copied):
    result = verify(copied)
    assert result["equal"] and (result["source_msgs"], result["target_msgs"]) == (100, 100)
    assert copied.command("verify", "t").returncode == 0


def test_odd_messages_are_equal(scene, source, target):
    with source.client() as c:
        count = odd.store(c)
    r = scene.replicate(source, target)
    r.wait_committed(count)
    assert verify(r)["source_msgs"] == count


def test_while_it_runs(scene, source, target):
    fill(source, 20_000)
    r = scene.replicate(source, target)
    r.wait_committed(20_000)
    result = verify(r)
    assert result["equal"] and result["source_msgs"] == 20_000


def test_mapped_and_filtered(scene, source, target):
    fill(source, 1000)
    r = scene.replicate(source, target, filter_subject=["s.1", "s.2"], target_subject_prefix="x",
                        target_stream="COPY")
    r.wait_topic(lambda t: t["copied"] == 100 and t["lag_msgs"] == 0)
    result = verify(r)
    assert result["equal"] and result["target_msgs"] == 100


def test_missing(copied, source, target):
    with target.client() as t:
        t.delete_message("S", 17)
        t.delete_message("S", 40)
    result = verify(copied)
    assert result["missing"] == [17, 40] and not result["changed"] and not result["reordered"]


def test_not_copied_yet(copied, source):
    fill(source, 3, first=101)
    assert verify(copied)["missing"] == [101, 102, 103]


def test_extra(copied, target):
    with target.client() as t:
        t.js_publish("s.1", b"foreign")
    assert verify(copied)["extra"] == [101]


def change_at(n, **change):
    return lambda stored: [m._replace(**change) if m.seq == n else m for m in stored]


@pytest.mark.parametrize("change", [{"data": b"other"}, {"subject": "s.other"}], ids=["body", "subject"])
def test_changed(copied, source, target, change):
    rebuild(source, target, change_at(33, **change))
    result = verify(copied)
    assert result["changed"] == [33] and not result["missing"] and not result["reordered"]


@pytest.mark.parametrize("old, new", [(b"Number: 33", b"Number: 34"), (b"Number: 33", b"number: 33"),
                                      (b"Empty:\r\n", b"")], ids=["value", "case", "gone"])
def test_changed_header(copied, source, target, old, new):
    rebuild(source, target, lambda stored: [
        m._replace(headers=m.headers.replace(old, new)) if m.seq == 33 else m for m in stored])
    assert verify(copied)["changed"] == [33]


def test_reordered(copied, source, target):
    def swap(stored):
        stored[50], stored[51] = stored[51], stored[50]
        return stored
    rebuild(source, target, swap)
    result = verify(copied)
    assert set(result["reordered"]) & {51, 52} and not result["missing"] and not result["changed"]


def test_doubled(copied, source, target):
    rebuild(source, target, lambda stored: stored + [stored[10]])
    result = verify(copied)
    assert not result["equal"] and (result["extra"] or result["reordered"])


def test_range(copied, target):
    with target.client() as t:
        t.delete_message("S", 17)
    assert verify(copied, "--from", "18")["equal"]
    assert verify(copied, "--to", "16")["equal"]
    assert verify(copied, "--from", "10", "--to", "20")["missing"] == [17]


def test_wrong_use(copied):
    done = copied.command("verify", "nosuch")
    assert done.returncode in (1, 2) and "nosuch" in done.stderr
    assert copied.command("verify", "t", "--from", "x").returncode == 2


def test_server_that_is_away(copied, target):
    target.kill()
    done = copied.command("verify", "t", timeout=60)
    assert done.returncode == 1 and "target" in done.stderr


# ---- targets with other writers ------------------------------------------------------------------------


def test_a_shared_target(scene, source, target):
    """Two topics and a local writer fill one stream; each topic is compared by itself."""
    with source.client() as s:
        s.create_stream("U", "u.>")
        s.publish_many((f"u.{i % 7}", b"%d" % i, b"") for i in range(500))
    with target.client() as t:
        t.create_stream("FLEET", "fleet.>")
        t.js_publish("fleet.local", b"x")
    fill(source, 500)
    common = {"target_stream": "FLEET", "target_subject_prefix": "fleet", "target_writers": "shared"}
    r = scene.prepare({"t": topic(source, target, **common), "u": topic(source, target, stream="U", **common)})
    r.start()
    for name in ("t", "u"):
        r.wait_committed(500, name=name)
        done = r.command("verify", name, "--json")
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["target_msgs"] == 500


def test_two_way(scene, source):
    """What came back over the other way was passed over, and is not missing."""
    target = scene.server()
    with target.client() as t:
        t.create_stream("S", "s.>")
    for i in range(20):
        for server in (source, target):
            with server.client() as c:
                c.js_publish(f"s.{i % 3}", b"%d" % i)
    one = scene.replicate(source, target, top={"name": "ONE"}, target_name="TWO", target_writers="shared")
    two = scene.replicate(target, source, top={"name": "TWO"}, target_name="ONE", target_writers="shared")
    for r in (one, two):
        r.wait_topic(lambda t: t["committed_seq"] == 40)
    for r in (one, two):
        result = verify(r)
        assert result["equal"] and result["loop_msgs"] == 20 and result["target_msgs"] == 20
        assert result["foreign_msgs"] == 20


# ---- what is not missing -------------------------------------------------------------------------------


def test_the_source_has_forgotten(copied, source):
    with source.client() as s:
        s.purge("S", keep=60)
        s.delete_message("S", 70)
    result = verify(copied)
    assert result["equal"] and result["source_msgs"] == 59
    assert result["source_gone_msgs"] == 1


def test_rejected_messages(scene, source, target):
    with target.client() as t:
        t.create_stream("S", "s.>", max_msg_size=2000)
    with source.client() as s:
        for i in range(10):
            s.js_publish("s.1", b"x" * (5000 if i == 4 else 10))
    r = scene.replicate(source, target, on_reject="skip")
    r.wait_committed(10)
    r.stop()
    result = verify(r)
    assert result["equal"] and result["rejected_msgs"] == 1 and result["target_msgs"] == 9


def test_older_than_max_age(scene, source, target):
    fill(source, 10)
    time.sleep(1.1)
    r = scene.replicate(source, target, max_age="1s")
    r.wait_committed(10)
    result = verify(r)
    assert result["equal"] and result["too_old_msgs"] == 10


def test_a_configured_start(scene, source, target):
    fill(source, 10)
    r = scene.replicate(source, target, start_sequence=8)
    r.wait_committed(10)
    result = verify(r)
    assert result["equal"] and result["source_msgs"] == 3


def test_an_empty_source(scene, source, target):
    with target.client() as t:
        t.create_stream("S", "s.>")
    r = scene.prepare({"t": topic(source, target)})
    assert verify(r)["equal"]


def test_a_work_queue_cannot_be_compared(scene, target):
    source = scene.server()
    with source.client() as s:
        s.create_stream("S", "s.>", retention="workqueue")
    with target.client() as t:
        t.create_stream("S", "s.>")
    r = scene.prepare({"t": topic(source, target)})
    done = r.command("verify", "t")
    assert done.returncode == 1 and "nothing to compare" in done.stderr


# ---- trouble on the way --------------------------------------------------------------------------------


def test_links_that_break(scene, source, target):
    """Both connections break again and again; every message is still compared, and once."""
    fill(source, 9_000)
    r = scene.replicate(source, target)
    r.wait_committed(9_000)
    r.stop()
    links = [scene.link(source), scene.link(target)]
    for link in links:
        link.rate(1_000_000)
    r.topics["t"] = {**topic(source, target), "source_url": f"nats://127.0.0.1:{links[0].port}",
                     "target_url": f"nats://127.0.0.1:{links[1].port}"}
    r.write()
    command = threading.Thread(target=lambda: results.append(verify(r)))
    results = []
    command.start()
    cuts = 0
    while command.is_alive():
        time.sleep(0.5)
        links[cuts % 2].cut()
        cuts += 1
    command.join()
    assert results and results[0]["equal"], results
    assert results[0]["source_msgs"] == results[0]["target_msgs"] == 9_000
    assert cuts > 4


def test_a_server_that_restarts(scene, source, target):
    fill(source, 20_000)
    r = scene.replicate(source, target)
    r.wait_committed(20_000)
    r.stop()
    link = scene.link(target)
    link.rate(2_000_000)
    r.topics["t"] = {**topic(source, target), "target_url": f"nats://127.0.0.1:{link.port}"}
    r.write()
    results = []
    command = threading.Thread(target=lambda: results.append(verify(r)))
    command.start()
    time.sleep(0.7)
    target.restart(kill=True)
    command.join()
    assert results[0]["equal"] and results[0]["target_msgs"] == 20_000


def test_the_tail_is_waited_for(scene, source, target):
    """While the daemon runs and the source grows, what it has at the start is compared."""
    w = scene.writer(source, rate=2000)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    for _ in range(3):
        assert verify(r)["equal"]
    w.stop()


def test_a_bar_on_a_terminal(copied):
    done = subprocess.run(["script", "-qec", f"{program()} verify t --config {copied.conf}", "/dev/null"],
                          capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("equal"), done.stdout
