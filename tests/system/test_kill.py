"""Processes that die or freeze: worker, supervisor, either server."""

import os
import signal
import time

import pytest

from lib.proc import alive, wait_until
from lib.replicator import topic, wait_gone
from lib.writer import fill


def first_copy_after(scene, r, client, act):
    """Seconds from act() to the next message that is stored at the target."""
    before = client.last_seq("S")
    began = time.monotonic()
    act()
    base = None
    while True:
        seq = client.last_seq("S")
        # what was under way when the worker died still arrives; count from when that has ended
        if base is None and time.monotonic() - began > 0.02:
            base = max(seq, before)
        if base is not None and seq > base:
            return time.monotonic() - began
        assert time.monotonic() - began < 20, r.topic()
        time.sleep(0.005)


def test_killed_worker_is_replaced_at_once(scene, source, target, check_copy):
    w = scene.writer(source, rate=1000)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    c = scene.client(target)
    times = []
    for _ in range(3):
        pid = r.worker_pid()
        # long enough at work that no back-off is left from the time before
        times.append(first_copy_after(scene, r, c, lambda: os.kill(pid, signal.SIGKILL)))
        r.wait_worker_died(pid)
        r.wait_state("copying")
    w.stop()
    with source.client() as s:
        r.wait_committed(s.last_seq("S"))
    check_copy(source, target)
    assert times[0] < 1.5, f"first copies after {times} s"
    assert r.topic()["restarts"] == 3
    assert "SIGKILL" in r.log(1000) or "signal 9" in r.log(1000) or "Killed" in r.log(1000)


def test_worker_killed_again_and_again(scene, source, target, check_copy):
    fill(source, 60_000)
    r = scene.replicate(source, target, rate_limit="15000/s")
    for seq in (2000, 9000, 17_000, 25_000, 35_000):
        r.wait_committed(seq)
        pid = r.worker_pid()
        os.kill(pid, signal.SIGKILL)
        r.wait_worker_died(pid)
    r.wait_committed(60_000)
    check_copy(source, target)


def test_children_die_with_their_supervisor(scene, source, target, check_copy):
    w = scene.writer(source, rate=1000)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    pid = r.worker_pid()
    r.kill()
    wait_gone([pid], 8)
    fill(source, 1, "s")
    r.start()
    w.stop()
    with source.client() as s:
        r.wait_committed(s.last_seq("S"))
    check_copy(source, target)


def test_supervisor_killed_while_copying(scene, source, target, check_copy):
    fill(source, 40_000)
    r = scene.replicate(source, target, rate_limit="15000/s")
    for seq in (3000, 12_000, 21_000):
        r.wait_committed(seq)
        r.kill()
        r.start()  # also while the old worker still settles
    r.wait_committed(40_000)
    check_copy(source, target)


def test_one_death_disturbs_no_other_topic(scene, source, target):
    with source.client() as c:
        c.create_stream("T2", "t2.>")
    r = scene.prepare({"one": topic(source, target), "two": topic(source, target, "T2")}).start()
    for name in ("one", "two"):
        r.wait_state("copying", name=name)
    two = r.topic("two")
    one = r.worker_pid("one")
    os.kill(one, signal.SIGKILL)
    r.wait_worker_died(one, name="one")
    after = r.topic("two")
    assert (after["pid"], after["restarts"]) == (two["pid"], 0)


def test_frozen_worker_is_replaced(scene, source, target, check_copy):
    r = scene.replicate(source, target)
    r.wait_state("copying")
    pid = r.worker_pid()
    os.kill(pid, signal.SIGSTOP)
    fill(source, 1000)
    r.wait_worker_died(pid, 25)
    r.wait_committed(1000)
    assert not alive(pid)
    check_copy(source, target)


def test_worker_that_wakes_after_its_successor_began(scene, source, target, check_copy):
    """Two copiers of one topic at a time: the chain lets only one of them in."""
    fill(source, 30_000)
    r = scene.replicate(source, target, rate_limit="8000/s")
    r.wait_committed(2000)
    old = r.worker_pid()
    os.kill(old, signal.SIGSTOP)
    r.kill()  # its pipe is at its end, but it cannot see that yet
    r.start()
    r.wait_committed(8000)
    os.kill(old, signal.SIGCONT)
    wait_gone([old], 10)
    r.wait_committed(30_000)
    check_copy(source, target)


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_server_restarts(scene, source, target, check_copy, side, kill):
    fill(source, 30_000)
    r = scene.replicate(source, target, rate_limit="10000/s")
    for seq in (2000, 10_000):
        r.wait_committed(seq)
        (source if side == "source" else target).restart(kill=kill)
    r.wait_committed(30_000)
    t = scene.client(target)
    wait_until(lambda: t.last_seq("S") >= 30_000, 20, "all at the target")
    check_copy(source, target)


@pytest.mark.parametrize("side", ["source", "target"])
def test_server_that_is_away_for_a_while(scene, source, target, check_copy, side):
    fill(source, 1000)
    r = scene.replicate(source, target)
    r.wait_committed(1000)
    server = source if side == "source" else target
    server.kill()
    r.wait_topic(lambda t: t["state"] == "connecting" and t["reason"], what="connecting with a reason")
    pid = r.worker_pid()
    server.start()
    fill(source, 1000, first=1001)
    r.wait_committed(2000)
    assert r.worker_pid() == pid, "an absent server costs no process"
    check_copy(source, target)


@pytest.mark.parametrize("side", ["source", "target"])
def test_frozen_server(scene, source, target, check_copy, side):
    """Frozen for longer than any time-out: connections are open and nobody answers."""
    w = scene.writer(source, rate=500)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    server = source if side == "source" else target
    server.freeze()
    r.wait_topic(lambda t: t["state"] != "copying", 25, what="seen to be stuck")
    server.thaw()
    r.wait_state("copying", 30)
    w.stop()
    with source.client() as s:
        r.wait_committed(s.last_seq("S"))
    check_copy(source, target)
    assert r.topic()["restarts"] == 0, "the worker itself was never stuck"


def test_stop_drains(scene, source, target, check_copy):
    """TERM settles what is in flight, writes the state and ends with 0."""
    w = scene.writer(source, rate=5000)
    r = scene.replicate(source, target)
    r.wait_committed(2000)
    pid = r.worker_pid()
    assert r.stop(10) == 0
    assert not alive(pid)
    with target.client() as t:
        at_target = t.last_seq("S")
    assert r.database("SELECT source_seq, target_seq FROM checkpoint") == [(at_target, at_target)]
    r.start()
    w.stop()
    with source.client() as s:
        r.wait_committed(s.last_seq("S"))
    check_copy(source, target)


def test_second_term_stops_at_once(scene, source, target):
    link = scene.link(target)
    fill(source, 5000, size=1000)
    r = scene.replicate(source, target, target_port=link.port)
    r.wait_state("copying")
    link.freeze()
    fill(source, 5000, first=5001, size=1000)
    pids = [r.worker_pid()]
    r.signal(signal.SIGTERM)
    r.wait_log("stopping")
    r.signal(signal.SIGTERM)
    wait_until(lambda: not r.running(), 3, "the end")
    wait_gone(pids, 3)
