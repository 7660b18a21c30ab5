"""Two and three nodes on one elected topic, always under load: who leads, who takes over, and how long
nobody works. The bucket is at the source. Whatever happens, all is copied once and in order."""

import os
import signal
import time

import pytest

from lib import nodes
from lib.nodes import ELECTOR, SUPERVISOR, WORKER, largest_gap
from lib.proc import alive, wait_until

TTL = 2.0
# a crash costs the TTL and 1.5 s at most, on a machine that has time
CRASH = TTL + 1.5 + 1.0
GRACEFUL = 1.0


class World:
    """A pair at work."""

    def __init__(self, scene, source, target, finish, rate=300, **options):
        self.scene, self.source, self.target, self.finish_ = scene, source, target, finish
        self.t = scene.client(target)
        self.writer = scene.writer(source, rate=rate)
        self.team = scene.pair(source, target, **options).start()
        self.bucket = scene.bucket(source)
        self.leader, others = self.team.settled()
        self.other = others[0] if others else None
        self.copied(100)

    def at(self):
        return self.t.last_seq("S")

    def copied(self, more, timeout=30.0):
        """So many more copies arrive."""
        want = (self.at() if self.t.has_stream("S") else 0) + more
        wait_until(lambda: self.t.has_stream("S") and self.at() >= want, timeout, f"copy {want}")

    def finish(self, **kw):
        return self.finish_(self.writer, self.source, self.target, **kw)

    def term(self, node):
        return node.election("WORK")["term"]


@pytest.fixture
def world(scene, source, target, finish):
    return World(scene, source, target, finish)


# ---- what is to be seen ----------------------------------------------------------------------------


def test_one_leads_and_one_stands_by(world):
    leader, other = world.leader, world.other
    for node in (leader, other):
        e = node.wait_election("WORK", lambda e: e["leader"] and len(e["present"]) == 2)
        assert (e["site"], e["leader"]) == ("HERE", node.status()["node"])
        assert e["since"] and 0 < e["lease_ms"] <= 2500, e
        assert sorted(p["leads"] for p in e["present"]) == [0, 1], e
    mine, theirs = leader.election("WORK"), other.election("WORK")
    assert (mine["role"], theirs["role"]) == ("leader", "standby")
    assert mine["term"] == theirs["term"] > 0 and mine["pid"] == theirs["pid"]
    assert leader.topic()["term"] == mine["term"]
    value = world.bucket.holder("WORK")
    assert value["node"] == mine["leader"] and value["site"] == "HERE" and value["pid"] == mine["pid"]
    assert value["since"] and value["nonce"] and value["map"]
    idle = other.topic()
    assert (idle["role"], idle["state"]) == ("standby", "standby")
    assert idle["pid"] and not idle["lag_msgs"] and not idle["lag_seconds"], "gauges are the leader's"
    assert leader.status()["ok"] and other.status()["ok"], (leader.status(), other.status())
    assert leader.command("status").returncode == 0 and "WORK" in leader.command("status").stdout
    with world.source.client() as c:
        waiting = [x["num_waiting"] for x in c.consumers("S")]
    assert len(waiting) == 1, "one consumer, of the leader"
    config = world.bucket.config()
    assert (config["max_age"], config["max_msgs_per_subject"]) == (2 * 10**9, 1)
    world.finish()


def test_terms_are_kept(world):
    rows = wait_until(lambda: world.leader.database("SELECT name, topic, role, term FROM leadership"), 10)
    assert ("WORK", "t", "leader", world.term(world.leader)) in rows, rows
    assert str(world.term(world.leader)) in world.leader.log(1000)


# ---- the leader goes -------------------------------------------------------------------------------


def test_leader_is_killed(world):
    before, term = world.at(), world.term(world.leader)
    world.leader.kill_all()
    assert world.team.wait_leader(but=world.leader) is world.other
    world.copied(100)
    assert world.term(world.other) > term
    world.leader.start()
    world.leader.wait_standby()
    assert world.team.wait_leader() is world.other, "who comes back does not take it away"
    gap = largest_gap(world.finish(), before)
    assert gap < CRASH, gap


def test_supervisor_is_killed(world):
    """Alone: what it leaves behind must not hold the lease for longer than a whole machine that dies."""
    before = world.at()
    os.kill(world.leader.child.pid, signal.SIGKILL)
    world.team.wait_leader(but=world.leader)
    world.copied(100)
    gap = largest_gap(world.finish(), before)
    assert gap < CRASH, gap


def test_leader_stops(world):
    before = world.at()
    assert world.leader.stop() == 0
    world.team.wait_leader(but=world.leader)
    world.copied(100)
    gap = largest_gap(world.finish(), before)
    assert gap < GRACEFUL, gap


def test_standby_stops(world):
    """It never touches the key."""
    term = world.term(world.leader)
    assert world.other.stop() == 0
    world.leader.wait_election("WORK", lambda e: len(e["present"]) == 1)
    world.copied(100)
    assert world.term(world.leader) == term
    gap = largest_gap(world.finish())
    assert gap < GRACEFUL, gap


def test_step_down(world):
    before = world.at()
    world.leader.command("step-down", "WORK", check=True)
    assert world.team.wait_leader(but=world.leader) is world.other
    world.leader.wait_standby()
    world.copied(100)
    world.other.command("step-down", "WORK", check=True)
    assert world.team.wait_leader(but=world.other, timeout=30) is world.leader
    world.copied(100)
    gap = largest_gap(world.finish(), before)
    assert gap < GRACEFUL, gap


def test_step_down_is_refused(world):
    def refused(node, name, *words):
        done = node.command("step-down", name)
        said = done.stdout + done.stderr
        assert done.returncode == 1 and all(w in said for w in words), done
    refused(world.leader, "NOTHING", "NOTHING")
    refused(world.other, "WORK", "WORK", "lead")
    world.other.stop()
    world.leader.wait_election("WORK", lambda e: len(e["present"]) == 1)
    refused(world.leader, "WORK", "WORK")
    assert world.team.wait_leader() is world.leader
    assert largest_gap(world.finish()) < GRACEFUL


@pytest.mark.parametrize("third", ["dies", "stops"])
def test_three_nodes(scene, source, target, finish, third):
    """Two of them go, one after the other."""
    w = World(scene, source, target, finish, count=3)
    gone = []
    for end in ("kill_all", "kill_all" if third == "dies" else "stop"):
        leader = w.team.wait_leader()
        before = w.at()
        getattr(leader, end)()
        gone.append(leader)
        assert w.team.wait_leader(but=leader) not in gone
        w.copied(100)
        with w.target.client() as t:
            assert largest_gap(t.read_stream("S", start=before)) < CRASH
    gone[0].start()
    gone[0].wait_standby()
    w.finish()


# ---- processes that freeze and die -----------------------------------------------------------------


def test_leader_freezes_and_wakes(world):
    """All its processes, for longer than the lease: what it wakes with is worth nothing."""
    before = world.at()
    world.leader.freeze()
    assert world.team.wait_leader() is world.other
    world.copied(100)
    world.leader.thaw()
    world.leader.wait_standby()
    assert world.team.wait_leader() is world.other
    world.copied(100)
    gap = largest_gap(world.finish(), before)
    assert gap < CRASH, gap


def test_elector_freezes(world):
    """The worker stops at the end of its lease, which nobody had to tell it."""
    before = world.at()
    world.leader.freeze(ELECTOR)
    world.leader.wait_log("the lease ended without renewal", TTL + 1)
    assert world.team.wait_leader(but=world.leader) is world.other
    world.copied(100)
    world.leader.thaw()
    world.leader.wait_standby()
    assert world.team.wait_leader() is world.other
    gap = largest_gap(world.finish(), before)
    assert gap < CRASH, gap


def test_elector_and_supervisor_freeze(world):
    before = world.at()
    world.leader.freeze(ELECTOR, SUPERVISOR)
    assert world.team.wait_leader(but=world.leader) is world.other
    world.copied(100)
    world.leader.thaw()
    world.leader.wait_standby()
    gap = largest_gap(world.finish(), before)
    assert gap < CRASH, gap


def test_supervisor_freezes(world):
    """Nobody passes leases on: the worker stops, and the other node must get its turn."""
    world.leader.freeze(SUPERVISOR)
    assert world.team.wait_leader(but=world.leader, timeout=30) is world.other
    world.copied(100)
    world.leader.thaw()
    world.leader.wait_standby()
    world.copied(100)
    world.finish()


def test_worker_freezes(world):
    """For longer than the lease and the supervisor's patience; here or there, the work goes on."""
    pid = world.leader.worker_pid()
    world.leader.freeze(WORKER)
    wait_until(lambda: not alive(pid), 20, "the frozen worker's end")
    world.leader.frozen.clear()
    world.copied(300)
    world.finish()


def test_worker_freezes_past_the_lease_and_wakes(scene, source, target, finish):
    """It wakes before its supervisor replaces it, with messages in hand and a lease that has ended while
    another node leads."""
    w = World(scene, source, target, finish, ttl="1s", rate=1000)
    w.leader.freeze(WORKER)
    w.leader.freeze(ELECTOR)
    w.team.wait_leader(but=w.leader)
    w.copied(100)
    w.leader.thaw()
    w.copied(500)
    w.finish()


def test_elector_is_killed(world):
    """The next one finds its own key and goes on with it, in a new term."""
    before, term = world.at(), world.term(world.leader)
    os.kill(world.leader.pid_of(ELECTOR), signal.SIGKILL)
    world.leader.wait_election("WORK", lambda e: e["role"] == "leader" and e["term"] > term)
    world.copied(100)
    assert world.team.wait_leader() is world.leader
    gap = largest_gap(world.finish(), before)
    assert gap < 1.5, gap


def test_worker_is_killed(world):
    """Leadership stays where it is."""
    before, term = world.at(), world.term(world.leader)
    pid = world.leader.worker_pid()
    os.kill(pid, signal.SIGKILL)
    world.leader.wait_worker_died(pid)
    world.copied(100)
    assert world.term(world.leader) == term
    assert world.team.wait_leader() is world.leader
    gap = largest_gap(world.finish(), before)
    assert gap < 2, gap


def test_standby_loses_its_worker(world):
    pid = world.other.worker_pid()
    os.kill(pid, signal.SIGKILL)
    world.other.wait_worker_died(pid)
    world.other.wait_standby()
    world.leader.kill_all()
    world.team.wait_leader(but=world.leader)
    world.copied(100)
    world.finish()


def test_leadership_goes_round(scene, source, target, finish):
    """Crashes and stops in turns, some of them amid a start."""
    w = World(scene, source, target, finish, ttl="1s", rate=1000)
    for end in ("kill_all", "stop", "kill_all", "stop"):
        leader = w.team.wait_leader()
        getattr(leader, end)()
        leader.start(ready=False)
        w.copied(200)
    w.finish()


# ---- links -----------------------------------------------------------------------------------------


def through_link(scene, source, target, what):
    """A pair of which node 0 reaches the bucket or the target through a link."""
    team = scene.pair(source, target)
    if what == "bucket":
        link = scene.link(source)
        team[0].top["election"]["url"] = source.url_for(link.port)
        team[1].top["election"]["url"] = source.url
    else:
        link = scene.link(target)
        team[0].topics["t"]["target_url"] = target.url_for(link.port)
    for node in team:
        node.write()
    team[0].start()
    team.wait_leader()
    team[1].start()
    assert team.settled()[0] is team[0]
    return team, link


def cut_off(link):
    link.refuse()
    link.cut()


def test_cut_between_leader_and_bucket(scene, source, target, finish):
    """Its source and target are in reach; it stops all the same."""
    w = scene.writer(source, rate=300)
    team, link = through_link(scene, source, target, "bucket")
    before = first_copies(target)
    cut_off(link)
    assert team.wait_leader(but=team[0]) is team[1]
    said = team[0].wait_election("WORK", lambda e: not team[0].status()["ok"])
    assert said["role"] != "leader"
    link.refuse(False)
    team[0].wait_standby()
    wait_until(lambda: team[0].status()["ok"], 20, "all well again")
    gap = largest_gap(finish(w, source, target), before)
    assert gap < CRASH, gap


def test_silence_between_leader_and_bucket(scene, source, target, finish):
    """The link swallows everything without a word, then lets it through."""
    w = scene.writer(source, rate=300)
    team, link = through_link(scene, source, target, "bucket")
    before = first_copies(target)
    link.freeze()
    assert team.wait_leader(but=team[0]) is team[1]
    link.thaw()
    team[0].wait_standby(timeout=30)
    gap = largest_gap(finish(w, source, target), before)
    assert gap < CRASH, gap


def test_cut_between_leader_and_target(scene, source, target, finish):
    """It could lead for ever without copying: after two TTLs a node that can work gets its turn."""
    w = scene.writer(source, rate=300)
    team, link = through_link(scene, source, target, "target")
    first_copies(target)
    cut_off(link)
    assert team.wait_leader(but=team[0], timeout=30) is team[1]
    link.refuse(False)
    team[0].wait_standby()
    assert team.wait_leader() is team[1]
    finish(w, source, target)


def test_cut_between_standby_and_target(scene, source, target, finish):
    """A standby that cannot work gets the name only if nobody else takes it."""
    w = scene.writer(source, rate=300)
    team, link = through_link(scene, source, target, "target")
    first_copies(target)
    third = scene.node(team[1].topics, **{k: v for k, v in team[1].top.items() if k == "election"})
    third.start()
    team.nodes.append(third)
    team[0].stop()
    leader = team.wait_leader(but=team[0])
    cut_off(link)
    team[0].start()
    team[0].wait_topic(lambda t: t["state"] == "connecting", what="cut off")
    leader.stop()
    assert team.wait_leader(but=leader) is not team[0]
    finish(w, source, target)


def first_copies(target, count=100):
    """Sequence of the last one."""
    with target.client() as t:
        wait_until(lambda: t.has_stream("S") and t.last_seq("S") >= count, 20, f"{count} copies")
        return t.last_seq("S")


# ---- configuration ---------------------------------------------------------------------------------


def test_reload_takes_part_and_no_more(scene, source, target, finish):
    """Topic u is elected from a reload on, and no more after the next; t is not touched."""
    with source.client() as c:
        c.create_stream("U", "u.>")
    w = World(scene, source, target, finish)
    u = scene.writer(source, "u", rate=200)
    pids = [n.worker_pid() for n in w.team]
    for node in w.team:
        node.topics["u"] = {**node.topics["t"], "stream": "U", "leader_election_name": "MORE"}
        node.write()
        node.command("reload", check=True)
    lead, others = w.team.settled("u")
    assert w.bucket.holder("MORE")["pid"] == lead.election("MORE")["pid"]
    first_copies(target)
    wait_until(lambda: w.t.has_stream("U") and w.t.last_seq("U") > 100, 20, "copies of u")
    for node in w.team:
        del node.topics["u"]
        node.write()
        node.command("reload", check=True)
    wait_until(lambda: w.bucket.holder("MORE") is None, 10, "the key given up")
    assert all("MORE" not in [e["name"] for e in n.status()["elections"]] for n in w.team)
    for node in w.team:
        node.topics["u"] = {**node.topics["t"], "stream": "U", "leader_election_name": "MORE"}
        node.write()
        node.command("reload", check=True)
    w.team.wait_leader("u")
    w.finish_(u, source, target, stream="U", topic="u")
    assert [n.worker_pid() for n in w.team] == pids, "t was not touched"
    w.finish()


def test_topic_becomes_elected(scene, source, target, finish):
    """A single node that worked without election gets a second one beside it."""
    w = scene.writer(source, rate=300)
    team = scene.pair(source, target)
    del team[0].topics["t"]["leader_election_name"]
    team[0].write()
    team[0].start()
    first_copies(target)
    assert team[0].topic()["role"] == "none"
    team[0].topics["t"]["leader_election_name"] = "WORK"
    team[0].write()
    team[0].command("reload", check=True)
    team.wait_leader()
    team[1].start()
    assert team.settled()[0] is team[0]
    team[0].kill_all()
    team.wait_leader(but=team[0])
    finish(w, source, target)


def test_paused_topic_is_led_by_another(world):
    """Pausing is this machine's; what the pair does with it must lose nothing."""
    world.leader.control("pause", topic="t")
    world.leader.wait_state("paused")
    time.sleep(0.5)  # nothing happens, or the other one takes over: both are right
    world.leader.control("resume", topic="t")
    world.copied(200)
    world.finish()


def test_two_topics_share_a_name(scene, source, target, finish):
    """They move together, and the hand-over waits for both."""
    with source.client() as c:
        c.create_stream("U", "u.>")
    team = scene.pair(source, target)
    for node in team:
        node.topics["u"] = {**node.topics["t"], "stream": "U"}
        node.write()
    w, u = scene.writer(source, rate=300), scene.writer(source, "u", rate=300)
    team.start()
    leader, [other] = team.settled()
    assert team.wait_leader("u") is leader
    first_copies(target)
    leader.command("step-down", "WORK", check=True)
    assert team.wait_leader("t", but=leader) is other and team.wait_leader("u", but=leader) is other
    other.kill_all()
    assert team.wait_leader("t", but=other) is leader and team.wait_leader("u", but=other) is leader
    finish(w, source, target)
    finish(u, source, target, stream="U", topic="u")


def test_nodes_without_a_name_in_common(scene, source, target):
    """Each leads its own."""
    with source.client() as c:
        c.create_stream("U", "u.>")
    a = scene.pair(source, target, count=1)[0].start()
    b = scene.team(1, {"u": {**a.topics["t"], "stream": "U", "leader_election_name": "ELSE"}},
                   election={"ttl": "2s"})[0].start()
    nodes.Team([a]).wait_leader("t")
    nodes.Team([b]).wait_leader("u")
    assert len(a.election("WORK")["present"]) == 1
