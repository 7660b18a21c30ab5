"""Roles of worker processes, told by the test instead of a supervisor: standby, gain, loss, hand-over, the end
of a lease. Whatever the order of things, what was copied is an exact prefix of the source."""

import signal
import time

import pytest

from lib.audit import Audit
from lib.pipe import Worker
from lib.proc import wait_until
from lib.replicator import topic
from lib.writer import fill


def options(source, target, **more):
    return topic(source, target, leader_election_name="WORK", **more)


@pytest.fixture
def worker(scene, source, target):
    def make(**more):
        kw = {k: more.pop(k) for k in ("checkpoint", "paused", "generation") if k in more}
        w = scene.add(Worker(options(source, target, **more), **kw))
        w.wait_state("paused" if kw.get("paused") else "standby")
        return w
    return make


def copied(c):
    return c.last_seq("S") if c.has_stream("S") else 0


def wait_copied(c, seq, workers=(), timeout=30.0):
    def ask():
        for w in workers:
            w.take()
        return copied(c) >= seq
    try:
        wait_until(ask, timeout, every=0.005)
    except AssertionError:
        raise AssertionError(f"target sequence {seq} not within {timeout} s: {copied(c)}, "
                             f"{[(w.state, w.reason, w.figures) for w in workers]}") from None


def stays(c, workers=(), seconds=0.5):
    """The target does not grow; returns where it stands."""
    at = copied(c)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for w in workers:
            w.take()
        time.sleep(0.02)
    assert copied(c) == at
    return at


# ---- standby, gain, loss ---------------------------------------------------------------------------


def test_standby_does_nothing(scene, source, target, worker):
    fill(source, 100)
    w = worker()
    t, s = scene.client(target), scene.client(source)
    time.sleep(0.5)
    w.take()
    assert not t.has_stream("S"), "it makes nothing"
    assert not s.consumers("S")
    assert all(w.figures[k] is None for k in ("lag_msgs", "source_last_sequence", "committed_sequence")), w.figures
    for server in (source, target):
        conns = server.monitor("connz?subs=1")["connections"]
        mine = [c for c in conns if c["name"] == "t_S" or c["name"] == "t"]
        assert mine and all(c["subscriptions"] == 0 for c in mine), conns
    done = w.lead(5)
    w.wait_done(done)
    wait_copied(t, 100, [w])
    w.wait_state("copying")
    done = w.stand_by()
    w.wait_done(done)
    w.wait_state("standby")
    fill(source, 50, first=101)
    assert stays(t, [w]) == 100
    for server in (source, target):
        mine = [c for c in server.monitor("connz?subs=1")["connections"] if c["name"] in ("t", "t_S")]
        assert mine and all(c["subscriptions"] == 0 for c in mine), mine
    assert w.figures["lag_msgs"] is None
    w.lead(9)
    wait_copied(t, 150, [w])


def first_copy_after_gain(w, t, term):
    at = copied(t)
    began = time.monotonic()
    w.lead(term)
    wait_copied(t, at + 1, timeout=10)
    return time.monotonic() - began


def test_gain_is_quick(scene, source, target, worker, check_copy):
    """The first message within 200 ms, also with a backlog."""
    fill(source, 2000)
    a, b = worker(), worker(generation=2)
    t = scene.client(target)
    a.lead(1)
    wait_copied(t, 2000, [a, b])
    times = []
    for n in range(6):
        a.wait_done(a.stand_by(settle=True))
        fill(source, 500, first=2001 + 500 * n)
        a, b = b, a
        times.append(first_copy_after_gain(a, t, n + 2))
        wait_copied(t, 2500 + 500 * n, [a, b])
    check_copy(source, target)
    print("gain to first copy, ms:", [round(x * 1000) for x in times])
    assert sorted(times)[len(times) // 2] < 0.2, times


def alternate(scene, source, target, a, b, settle, rounds, pause):
    t = scene.client(target)
    writer = scene.writer(source, rate=2000)
    term = 1
    a.lead(term)
    wait_copied(t, 500, [a, b])
    for _ in range(rounds):
        end = time.monotonic() + pause
        while time.monotonic() < end:
            a.take(0.01)
            b.take()
        serial = a.stand_by(settle=settle)
        if settle:
            a.wait_done(serial)
        term += 1
        b.lead(term)
        a, b = b, a
    writer.stop()
    last = scene.client(source).last_seq("S")
    wait_copied(t, last, [a, b])
    a.wait(lambda: a.figures.get("committed_sequence") == last, 10, "all settled")
    assert not a.incidents and not b.incidents, (a.incidents, b.incidents)


@pytest.mark.parametrize("settle", [False, True])
def test_leaders_alternate_under_load(scene, source, target, worker, check_copy, settle):
    alternate(scene, source, target, worker(), worker(generation=2), settle, 25, 0.15)
    check_copy(source, target)


def test_loss_without_waiting_for_it(scene, source, target, worker, check_copy):
    """The next one leads before the one before it knows that it has lost."""
    a, b = worker(), worker(generation=2)
    t = scene.client(target)
    writer = scene.writer(source, rate=2000)
    a.lead(1)
    wait_copied(t, 300, [a, b])
    for term in range(2, 20):
        b.lead(term)
        time.sleep(0.05)
        a.stand_by()
        at = copied(t)
        wait_copied(t, at + 100, [a, b])
        a, b = b, a
    writer.stop()
    wait_copied(t, scene.client(source).last_seq("S"), [a, b])
    check_copy(source, target)


def test_same_worker_again_and_again(scene, source, target, worker, check_copy):
    """Its own checkpoint is all it knows of its earlier terms."""
    w = worker()
    t = scene.client(target)
    writer = scene.writer(source, rate=3000)
    for term in range(1, 25):
        w.lead(term)
        at = copied(t)
        wait_copied(t, at + 50, [w])
        w.wait_done(w.stand_by(settle=term % 2 == 0))
    w.lead(100)
    writer.stop()
    wait_copied(t, scene.client(source).last_seq("S"), [w])
    check_copy(source, target)
    assert not w.incidents


def test_another_term_at_once(scene, source, target, worker, check_copy):
    w = worker()
    t = scene.client(target)
    writer = scene.writer(source, rate=3000)
    for term in range(1, 15):
        w.lead(term)
        at = copied(t)
        wait_copied(t, at + 50, [w])
    writer.stop()
    wait_copied(t, scene.client(source).last_seq("S"), [w])
    check_copy(source, target)


def test_renewals_change_nothing(scene, source, target, worker):
    w = worker()
    t = scene.client(target)
    writer = scene.writer(source, rate=500)
    for _ in range(12):
        w.wait_done(w.lead(7, lease_s=0.5))
        time.sleep(0.1)
    at = copied(t)
    assert at > 200
    writer.stop()
    assert w.log(1000).count("copying from source sequence") == 1
    w.wait_state("standby", 3)
    assert "lease ended" in w.reason


# ---- settling --------------------------------------------------------------------------------------


def test_hand_over_settles(scene, source, target, worker, check_copy):
    """After ROLE_DONE nothing more arrives, and all that was sent is settled."""
    fill(source, 30_000)
    link = scene.link(target, rtt_ms=60)
    w = scene.add(Worker(options(source, target, target_port=link.port)))
    w.wait_state("standby")
    t = scene.client(target)
    w.lead(1)
    wait_copied(t, 3000, [w])
    began = time.monotonic()
    w.wait_done(w.stand_by(settle=True))
    assert time.monotonic() - began < 1
    at = stays(t, [w])
    assert at < 30_000
    assert "handed over" in w.log() and f"target sequence {at}" in w.log()
    w.lead(2)
    wait_copied(t, 30_000, [w])
    check_copy(source, target)


def test_hand_over_that_cannot_settle(scene, source, target, worker, check_copy):
    """The target does not answer: it is over when the lease is."""
    fill(source, 20_000)
    link = scene.link(target)
    w = scene.add(Worker(options(source, target, target_port=link.port)))
    w.wait_state("standby")
    t = scene.client(target)
    w.lead(1, lease_s=2)
    wait_copied(t, 1000, [w])
    link.freeze()
    began = time.monotonic()
    serial = w.stand_by(settle=True)
    w.wait_done(serial, 5)
    assert 0.5 < time.monotonic() - began < 2.5
    link.thaw()
    w.wait_state("standby")
    w.lead(2)
    wait_copied(t, 20_000, [w])
    check_copy(source, target)


def test_hand_over_is_called_off(scene, source, target, worker, check_copy):
    w = worker()
    t = scene.client(target)
    writer = scene.writer(source, rate=2000)
    w.lead(3)
    for _ in range(10):
        at = copied(t)
        wait_copied(t, at + 100, [w])
        w.stand_by(settle=True)
        w.lead(3)
    writer.stop()
    wait_copied(t, scene.client(source).last_seq("S"), [w])
    check_copy(source, target)


# ---- the lease's end -------------------------------------------------------------------------------


def test_lease_ends_by_itself(scene, source, target, worker, check_copy):
    w = worker()
    t = scene.client(target)
    writer = scene.writer(source, rate=1000)
    began = time.monotonic()
    w.lead(1, lease_s=1.0)
    wait_copied(t, 50)
    time.sleep(max(0, began + 1.1 - time.monotonic()))
    stays(t)
    w.wait_state("standby")
    assert w.reason == "the lease ended without renewal"
    writer.stop()
    w.lead(2)
    wait_copied(t, scene.client(source).last_seq("S"), [w])
    check_copy(source, target)


def test_role_of_a_lease_that_is_over(scene, source, target, worker):
    fill(source, 10)
    w = worker()
    w.wait_done(w.lead(1, lease_s=-1.0))
    assert w.state == "standby"
    assert not scene.client(target).has_stream("S")


@pytest.mark.parametrize("tls", [False, True])
def test_stopped_past_its_lease(scene, certs, check_copy, tls):
    """A leader that was frozen in full run sends nothing when it wakes, while another one leads."""
    source = scene.server(tls=certs if tls else None)
    target = scene.server(tls=certs if tls else None)
    with source.client() as c:
        c.create_stream("S", "s.>")
    fill(source, 60_000)
    a = scene.add(Worker(options(source, target, rate_limit="6000/s")))
    b = scene.add(Worker(options(source, target, rate_limit="6000/s"), generation=2))
    a.wait_state("standby")
    b.wait_state("standby")
    t = scene.client(target)
    a.lead(1, lease_s=0.8)
    wait_copied(t, 2000)
    a.signal(signal.SIGSTOP)
    time.sleep(0.9)
    at = copied(t)
    term = 1
    for _ in range(5):
        term += 1
        b.lead(term, lease_s=1.0)
        wait_copied(t, at + 500, [b])
        a.signal(signal.SIGCONT)
        a.wait_state("standby")
        time.sleep(0.1)
        b.signal(signal.SIGSTOP)
        time.sleep(1.1)
        a, b = b, a
        at = copied(t)
    a.signal(signal.SIGCONT)
    a.wait_state("standby")
    b.lead(100)
    wait_copied(t, 60_000, [b])
    check_copy(source, target)


def test_frozen_leader_is_silent(scene, source, target, worker):
    """Nobody else leads: after its lease no message of it arrives when it wakes."""
    fill(source, 60_000)
    w = worker(rate_limit="20000/s")
    t = scene.client(target)
    for term in range(1, 6):
        w.lead(term, lease_s=0.6)
        at = copied(t)
        wait_copied(t, at + 500)
        w.signal(signal.SIGSTOP)
        time.sleep(0.7)
        at = copied(t)
        w.signal(signal.SIGCONT)
        w.wait_state("standby")
        assert stays(t, [w], 0.3) == at


# ---- other states ----------------------------------------------------------------------------------


def test_paused_worker_gains(scene, source, target, worker):
    fill(source, 20)
    w = worker(paused=True)
    t = scene.client(target)
    w.wait_done(w.lead(1))
    time.sleep(0.3)
    w.take()
    assert w.state == "paused" and not t.has_stream("S")
    w.send("RESUME")
    wait_copied(t, 20, [w])
    w.wait_state("copying")
    w.send("PAUSE")
    w.wait_state("paused")
    w.wait_done(w.stand_by())
    assert w.state == "paused"
    w.send("RESUME")
    w.wait_state("standby")
    fill(source, 5, first=21)
    assert stays(t, [w], 0.3) == 20


def test_halted_worker_proves_anew(scene, source, target, worker):
    """A message too large for the target halts it; another term looks again."""
    fill(source, 10)
    with target.client() as t:
        t.create_stream("S", "s.>", max_msg_size=2000)
        source_client = scene.client(source)
        source_client.js_publish("s.big", b"x" * 5000)
        w = worker()
        w.lead(1)
        w.wait_state("halted")
        w.wait_done(w.stand_by())
        w.wait_state("standby")
        t.update_stream("S", max_msg_size=10000)
        w.lead(2)
        wait_copied(t, 11, [w])
        w.wait_state("copying")


def test_loss_without_connections(scene, source, target, worker, check_copy):
    fill(source, 5000)
    link = scene.link(target)
    w = scene.add(Worker(options(source, target, target_port=link.port)))
    w.wait_state("standby")
    t = scene.client(target)
    w.lead(1)
    wait_copied(t, 500, [w])
    link.refuse()
    link.cut()
    w.wait_state("connecting")
    w.wait_done(w.stand_by())
    assert w.state == "connecting"
    w.wait_done(w.lead(2))
    assert w.state == "connecting"
    link.refuse(False)
    wait_copied(t, 5000, [w])
    check_copy(source, target)


def test_drain_and_loss(scene, source, target, worker, check_copy):
    """A worker that drains while it loses stops at once and ends."""
    fill(source, 30_000)
    w = worker()
    t = scene.client(target)
    w.lead(1)
    wait_copied(t, 500, [w])
    w.send("DRAIN")
    w.stand_by()
    w.wait(lambda: w.closed or w.child.poll() is not None, 5, "its end") if not w.closed else None
    w.child.wait(5)
    assert w.child.returncode == 0
    b = worker(generation=2)
    b.lead(2)
    wait_copied(t, 30_000, [b])
    check_copy(source, target)


# ---- another map -----------------------------------------------------------------------------------


def test_map_in_doubt_is_a_stretch(scene, source, target, worker, check_copy):
    fill(source, 3000)
    a, b = worker(), worker(generation=2)
    t = scene.client(target)
    a.lead(1)
    wait_copied(t, 3000, [a])
    a.wait_done(a.stand_by())
    b.lead(2, doubt=True)
    fill(source, 3000, first=3001)
    wait_copied(t, 6000, [b])
    b.wait(lambda: b.figures.get("committed_sequence") == 6000, 10)
    check_copy(source, target)
    assert not b.incidents


# ---- work queues -----------------------------------------------------------------------------------


@pytest.fixture
def queue(scene):
    """A server whose stream S is a work queue; what it held is read back from `kept`."""
    s = scene.server()
    with s.client() as c:
        c.create_stream("S", "s.>", retention="workqueue")
    return s


def in_order(t, count):
    """The target holds messages 1 … count of the source, once and in order."""
    numbers = [int(m.data.split()[0]) for m in t.read_stream("S")]
    assert numbers == list(range(1, count + 1)), [n for i, n in enumerate(numbers) if n != i + 1][:10]


def test_work_queue_changes_hands(scene, queue, target):
    """What the one before had in hand comes again first, after its ack wait."""
    fill(queue, 6000)
    a = scene.add(Worker(options(queue, target)))
    b = scene.add(Worker(options(queue, target), generation=2))
    t = scene.client(target)
    for w in (a, b):
        w.wait_state("standby")
    a.lead(1)
    wait_copied(t, 1000)
    began = time.monotonic()
    a.stand_by()
    b.lead(2)
    wait_copied(t, 6000, [a, b])
    print("work queue, loss to all copied: %.1f s" % (time.monotonic() - began))
    b.wait(lambda: queue_is_empty(queue), 15, "all acknowledged")
    in_order(t, 6000)


def queue_is_empty(server):
    with server.client() as c:
        return c.state("S")["messages"] == 0


def test_delivery_that_went_elsewhere(scene, queue, target):
    """Another process takes a message from our consumer and never acknowledges it: no later one may pass."""
    fill(queue, 20)
    w = scene.add(Worker(options(queue, target)))
    w.wait_state("standby")
    t, s = scene.client(target), scene.client(queue)
    w.lead(1)
    wait_copied(t, 20, [w])
    thief = s.subscribe("thief")
    for _ in range(8):
        s.publish("$JS.API.CONSUMER.MSG.NEXT.S.t_S", b'{"batch": 1, "expires": 2000000000}', reply=thief.subject)
    s.flush()
    fill(queue, 200, first=21)
    assert not s.next(thief, 5).status
    wait_copied(t, 220, [w], timeout=40)
    in_order(t, 220)


# ---- shared with the existing tool -----------------------------------------------------------------


def go_consumer(server, name="SR_t"):
    with server.client() as c:
        return next((x for x in c.consumers("S") if x["name"] == name), None)


def shared(scene, source, target, **more):
    w = scene.add(Worker(options(source, target, election_key="SR_t_S", **more)))
    w.wait_state("standby")
    return w


def test_existing_tools_consumer(scene, source, target):
    """At most 5 s old while we lead, exact after a hand-over, untouched on standby."""
    w = shared(scene, source, target)
    assert go_consumer(source) is None
    writer = scene.writer(source, rate=500)
    t = scene.client(target)
    w.lead(1)
    wait_copied(t, 200, [w])
    made = wait_until(lambda: go_consumer(source), 5, "the consumer")
    config = made["config"]
    assert (config["ack_policy"], config["max_ack_pending"], config["ack_wait"]) == ("explicit", 1, 30 * 10**9)
    first = config["opt_start_seq"]
    wait_until(lambda: (w.take(), (go_consumer(source) or made)["config"]["opt_start_seq"] > first)[1], 8,
               "it moves with us")
    for term in range(2, 6):
        at = copied(t)
        w.wait_done(w.stand_by(settle=True))
        last = copied(t)
        assert go_consumer(source)["config"]["opt_start_seq"] == last + 1
        w.lead(term)
        wait_copied(t, at + 100, [w])
    writer.stop()
    wait_copied(t, scene.client(source).last_seq("S"), [w])
    w.send("DRAIN")
    w.child.wait(5)
    assert go_consumer(source)["config"]["opt_start_seq"] == copied(t) + 1


def test_existing_tools_consumer_survives_a_loss(scene, source, target):
    """Whatever a loss comes amid, it is there afterwards."""
    w = shared(scene, source, target)
    writer = scene.writer(source, rate=500)
    t = scene.client(target)
    for term in range(1, 40):
        w.lead(term)
        at = copied(t)
        wait_copied(t, at + 1, [w])
        time.sleep(term % 5 / 1000)
        w.wait_done(w.stand_by())
        made = wait_until(lambda: go_consumer(source), 1, "the consumer")
        assert made["config"]["opt_start_seq"] <= copied(t) + 1
    writer.stop()


def test_existing_tools_consumer_on_a_work_queue(scene, queue, target):
    fill(queue, 50)
    w = shared(scene, queue, target)
    t = scene.client(target)
    w.lead(1)
    wait_copied(t, 50, [w])
    w.wait_done(w.stand_by(settle=True))
    assert go_consumer(queue) is None
    assert "SR_t" in w.log() and "work-queue" in w.log()


# ---- a leader with other settings ------------------------------------------------------------------


@pytest.mark.parametrize("writers", ["exclusive", "auto"])
def test_late_publishes_of_another_map(scene, source, target, writers):
    """The one before copied all and is frozen with messages on their way; we copy s.b alone. What it sent
    arrives amid our work: nothing is lost, and what is there twice is told."""
    fill(source, 10)
    link = scene.link(target)
    a = scene.add(Worker(options(source, target, target_port=link.port, target_writers=writers)))
    a.wait_state("standby")
    a.lead(1, lease_s=3)
    t = scene.client(target)
    wait_copied(t, 10, [a])
    time.sleep(0.3)
    link.freeze_now("up")
    with source.client() as c:
        for n in range(5):
            c.js_publish("s.a", b"a%d" % n)
            c.js_publish("s.b", b"b%d" % n)
    a.wait(lambda: a.figures.get("inflight_msgs"), 5, "messages on their way")
    a.signal(signal.SIGSTOP)
    b = scene.add(Worker(options(source, target, target_writers=writers, filter_subject="s.b", rate_limit="2/s"),
                         generation=2))
    b.wait_state("standby")
    b.lead(2, doubt=True)
    wait_copied(t, 11, [b])
    link.thaw()
    b.wait(lambda: b.figures.get("committed_sequence") == 20, 30, "all copied")
    with source.client() as s:
        report = Audit("S").run(s.read_stream("S"), t.read_stream("S"))
    assert not [x for x in report.lost if x[1] == "s.b"] and not report.changed, str(report)
    if report.doubled:
        assert b.incidents, str(report)


def test_barrier_of_another_instance_is_no_writer(scene, source, target, worker, check_copy):
    """Two that both believe to lead, and one of them in doubt: neither takes the other for a foreign writer."""
    a, b = worker(), worker(generation=2)
    t = scene.client(target)
    writer = scene.writer(source, rate=2000)
    a.lead(1)
    wait_copied(t, 200, [a])
    for term in range(2, 30):
        b.lead(term)
        end = time.monotonic() + 0.15
        while time.monotonic() < end:
            a.take(0.01)
            b.take()
        a, b = b, a
    writer.stop()
    b.stand_by()
    wait_copied(t, scene.client(source).last_seq("S"), [a, b])
    check_copy(source, target)
    assert not [i for i in a.incidents + b.incidents if i[0] == "foreign_writer"]


def test_work_queue_and_a_bad_link(scene, queue, target):
    """Either end is lost again and again: what was in hand comes again, in order, and nothing is left out."""
    links = scene.link(queue), scene.link(target)
    w = scene.add(Worker(options(queue, target, source_port=links[0].port, target_port=links[1].port,
                                 rate_limit="4000/s")))
    w.wait_state("standby")
    t = scene.client(target)
    writer = scene.writer(queue, rate=1500)
    w.lead(1, lease_s=100)
    for n in range(4):
        at = copied(t)
        wait_copied(t, at + 300, [w])
        links[n % 2].cut()
    writer.stop()
    wait_copied(t, scene.client(queue).last_seq("S"), [w], timeout=60)
    in_order(t, copied(t))


def test_one_who_leads_still_is_ahead_of_us(scene, source, target, worker, check_copy):
    """Between our question to a far source and the one to the target, the one before copies on: the source has
    not gone back."""
    link = scene.link(source, rtt_ms=300)
    a = worker()
    b = scene.add(Worker(options(source, target, source_port=link.port), generation=2))
    b.wait_state("standby")
    t = scene.client(target)
    writer = scene.writer(source, rate=1000)
    a.lead(1)
    wait_copied(t, 300, [a])
    b.lead(2)
    b.wait(lambda: "copying from" in b.log(), 10, "a proven position")
    a.stand_by()
    at = copied(t)
    wait_copied(t, at + 300, [a, b])
    writer.stop()
    wait_copied(t, scene.client(source).last_seq("S"), [a, b])
    check_copy(source, target)
    assert b.state == "copying" and not b.incidents, (b.state, b.reason, b.incidents)
