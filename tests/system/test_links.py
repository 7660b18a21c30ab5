"""Distance and trouble on the way between replicator and servers."""

import time

import pytest

from lib import proc
from lib.writer import fill

SIDES = pytest.mark.parametrize("side", ["source", "target"])


def over(scene, source, target, side, rtt_ms=0, **options):
    """A link on one side, and the replicator that goes through it."""
    link = scene.link(source if side == "source" else target, rtt_ms=rtt_ms)
    return link, scene.replicate(source, target, **{f"{side}_port": link.port}, **options)


@SIDES
def test_far_end(scene, source, target, check_copy, side):
    """100 ms there and back: a copier that waits for each answer would take an hour."""
    fill(source, 40_000)
    _, r = over(scene, source, target, side, rtt_ms=100)
    began = time.monotonic()
    r.wait_committed(40_000, timeout=60)
    assert time.monotonic() - began < 30
    check_copy(source, target)


def test_both_ends_far(scene, source, target, check_copy):
    fill(source, 10_000)
    a, b = scene.link(source, rtt_ms=100), scene.link(target, rtt_ms=100)
    r = scene.replicate(source, target, source_port=a.port, target_port=b.port)
    r.wait_committed(10_000)
    check_copy(source, target)


@SIDES
def test_cut_again_and_again(scene, source, target, check_copy, side):
    fill(source, 40_000)
    link, r = over(scene, source, target, side, rate_limit="10000/s")
    for seq in (1000, 5000, 10_000, 18_000, 25_000):
        r.wait_committed(seq)
        link.cut()
    r.wait_committed(40_000)
    check_copy(source, target)
    assert r.topic()["restarts"] == 0


@SIDES
def test_cut_while_far(scene, source, target, check_copy, side):
    """What was under way when the link broke is there in part: the target says how much."""
    fill(source, 40_000)
    link, r = over(scene, source, target, side, rtt_ms=60, rate_limit="15000/s")
    for seq in (3000, 12_000, 22_000):
        r.wait_committed(seq)
        link.cut()
    r.wait_committed(40_000)
    check_copy(source, target)


@SIDES
def test_refused_for_a_while(scene, source, target, check_copy, side):
    fill(source, 500)
    link, r = over(scene, source, target, side)
    r.wait_committed(500)
    link.refuse()
    link.cut()
    r.wait_state("connecting")
    fill(source, 500, first=501)
    link.refuse(False)
    r.wait_committed(1000)
    check_copy(source, target)


@SIDES
def test_slow_link(scene, source, target, check_copy, side):
    """1 MB/s for 8 MB: slow, but without a rewind or a reconnect."""
    fill(source, 8000, size=1000)
    link, r = over(scene, source, target, side)
    link.rate(1_000_000)
    r.wait_committed(8000, timeout=60)
    check_copy(source, target)
    t = r.topic()
    assert t["restarts"] == 0 and t["counters"]["connection_reconnections"] <= 1, t


@SIDES
@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_silence(scene, source, target, check_copy, side, way):
    """A link that swallows bytes without a word; the end of it is a new connection."""
    fill(source, 1000)
    link, r = over(scene, source, target, side)
    r.wait_committed(1000)
    link.freeze_now(way)
    fill(source, 1000, first=1001)
    r.wait_committed(2000, timeout=40)
    link.thaw()
    fill(source, 100, first=2001)
    r.wait_committed(2100)
    check_copy(source, target)


@SIDES
def test_silence_that_ends(scene, source, target, check_copy, side):
    """Shorter than any time-out: nothing needs to be done about it."""
    w = scene.writer(source, rate=1000)
    link, r = over(scene, source, target, side)
    for seq in (500, 3500):
        r.wait_committed(seq)
        link.freeze()
        time.sleep(2)  # the length of the silence is what is tested
        link.thaw()
    w.stop()
    with source.client() as s:
        r.wait_committed(s.last_seq("S"))
    check_copy(source, target)


def test_late_bytes_of_a_dead_connection(scene, source, target, check_copy):
    """What an old connection had sent arrives after its successor went on: it fits nowhere."""
    fill(source, 20_000)
    link, r = over(scene, source, target, "target", rate_limit="5000/s")
    for seq in (1000, 5000):
        r.wait_committed(seq)
        link.freeze_now("up")
        before = link.stats()["made"]
        r.wait_topic(lambda t: link.stats()["made"] > before, 40, what="on a new connection")
        link.thaw()
    r.wait_committed(20_000)
    check_copy(source, target)


def test_rate_limit_in_messages(scene, source, target):
    fill(source, 3000)
    began = time.monotonic()
    r = scene.replicate(source, target, rate_limit="1000/s")
    r.wait_committed(3000)
    took = time.monotonic() - began
    assert 1.8 < took < 6, took


def test_rate_limit_in_bytes(scene, source, target):
    fill(source, 300, size=10_000)
    began = time.monotonic()
    r = scene.replicate(source, target, rate_limit="1MiB/s")
    r.wait_committed(300)
    took = time.monotonic() - began
    assert 1.8 < took < 6, took


def test_small_window(scene, source, target, check_copy):
    fill(source, 5000)
    r = scene.replicate(source, target, max_inflight=10)
    r.wait_committed(5000)
    check_copy(source, target)
    assert r.topic()["window"] <= 10


def test_window_in_bytes(scene, source, target, check_copy):
    """One message larger than the whole window must still pass."""
    fill(source, 40, size=300_000)
    r = scene.replicate(source, target, max_inflight_bytes="256KiB")
    r.wait_committed(40)
    check_copy(source, target)


def test_several_servers_in_the_url(scene, source, target, check_copy):
    """The first one is not there."""
    fill(source, 10)
    r = scene.prepare({"t": {"stream": "S", "source_url": f"nats://127.0.0.1:{proc.free_port()},{source.url}",
                             "target_url": f"nats://127.0.0.1:{proc.free_port()},{target.url}"}}).start()
    r.wait_committed(10)
    check_copy(source, target)
