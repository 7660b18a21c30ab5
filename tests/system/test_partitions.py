"""A topic in partitions, each elected by itself: who leads how many, and the move back."""

import time

import pytest

from lib.audit import Audit
from lib.nodes import Team
from lib.proc import wait_until
from lib.replicator import topic

PARTITIONS = 4
NAMES = [f"t_P{n}" for n in range(PARTITIONS)]


def elected_partitions(scene, source, target, count=2, partitions=PARTITIONS, **options):
    with target.client() as t:
        for n in range(partitions):
            t.create_stream(f"P{n}", f"s.{n}")
    return scene.team(count, {"t": topic(
        source, target, partitions=partitions, filter_subject="s.{{partition}}", target_stream="P{{partition}}",
        leader_election_name="WORK_{{partition}}", **options)}, election={"ttl": "2s"})


def counts(team):
    return sorted(len(names) for names in team.led_by(NAMES).values())


def wait_counts(team, want, timeout=25.0):
    wait_until(lambda: counts(team) == want, timeout, f"{want} partitions led; now {counts(team)}", every=0.2)


def audit_all(writer, source, target, partitions=PARTITIONS):
    writer.stop()
    with source.client() as s, target.client() as t:
        have = s.read_stream("S")
        for n in range(partitions):
            wanted = Audit("S", topic=f"t_P{n}", filters=f"s.{n}")
            expected = sum(1 for m in have if wanted.expects(m))
            try:
                wait_until(lambda: t.state(f"P{n}")["messages"] >= expected, 30)
            except AssertionError:
                pass  # the audit says which are lost
            wanted.check(have, t.read_stream(f"P{n}"))


def terms(team):
    status = next(n for n in team if n.answers()).status()
    return {e["name"]: e["term"] for e in status["elections"]}


def test_one_node_leads_them_all(scene, source, target):
    w = scene.writer(source, rate=400, subjects=PARTITIONS)
    team = elected_partitions(scene, source, target, count=1).start()
    wait_counts(team, [4])
    bucket = scene.bucket(source)
    assert all(bucket.holder(f"WORK_{n}")["pid"] for n in range(PARTITIONS))
    for n, name in enumerate(NAMES):
        team[0].wait_state("copying", name=name)
        assert team[0].election(f"WORK_{n}")["role"] == "leader"
    audit_all(w, source, target)


def test_two_nodes_share_them(scene, source, target):
    """Started one after the other: the first has them all, gives half away, and then nothing moves."""
    w = scene.writer(source, rate=400, subjects=PARTITIONS)
    team = elected_partitions(scene, source, target)
    team[0].start()
    wait_until(lambda: len(team.led_by(NAMES)[0]) == 4, 20, "all at the first")
    team[1].start()
    wait_counts(team, [2, 2], 20)
    held = terms(team)
    time.sleep(5)  # that nothing moves can only be seen by waiting
    assert counts(team) == [2, 2] and terms(team) == held
    audit_all(w, source, target)


def test_node_dies_and_gets_its_share_back(scene, source, target):
    w = scene.writer(source, rate=400, subjects=PARTITIONS)
    team = elected_partitions(scene, source, target).start()
    wait_counts(team, [2, 2])
    team[0].kill_all()
    wait_until(lambda: len(team.led_by(NAMES)[1]) == 4, 10, "all at the other")
    team[0].start()
    wait_counts(team, [2, 2], 20)
    held = terms(team)
    time.sleep(3)  # that nothing moves can only be seen by waiting
    assert terms(team) == held
    audit_all(w, source, target)


def test_three_nodes_share_them(scene, source, target):
    """Four by three: 2, 1, 1, and one that leaves is made up for."""
    w = scene.writer(source, rate=400, subjects=PARTITIONS)
    team = elected_partitions(scene, source, target, count=3).start()
    wait_until(lambda: sum(counts(team)) == 4 and max(counts(team)) == 2, 25, "none with more than 2")
    team[1].stop()
    rest = Team([team[0], team[2]])
    wait_until(lambda: counts(rest) in ([2, 2], [1, 3]) and sum(counts(rest)) == 4, 15, "shared by two")
    wait_counts(rest, [2, 2])
    audit_all(w, source, target)


def test_step_down_of_one(scene, source, target):
    """Balance does not undo it: that name stays, though another one may come back for it."""
    w = scene.writer(source, rate=400, subjects=PARTITIONS)
    team = elected_partitions(scene, source, target).start()
    wait_counts(team, [2, 2])
    name = team.led_by(NAMES)[0][0]
    election = f"WORK_{name[-1]}"
    team[0].command("step-down", election, check=True)
    wait_until(lambda: name in team.led_by(NAMES)[1], 10, "moved")
    term = team[1].election(election)["term"]
    time.sleep(4)  # that it does not move can only be seen by waiting
    assert team[1].election(election)["role"] == "leader" and team[1].election(election)["term"] == term
    audit_all(w, source, target)


@pytest.mark.parametrize("given, started", [("t", NAMES), ("t_P2", ["t_P2"])])
def test_topic_picked_by_name(scene, source, target, given, started):
    team = elected_partitions(scene, source, target, count=1)
    team[0].topics["other"] = topic(source, target, target_stream="OTHER", target_subject_prefix="other")
    team[0].write()
    team[0].start("--topic", given)
    wait_until(lambda: sorted(t["name"] for t in team[0].status()["topics"]) == started, 10, f"{started}")
    for name in started:
        team[0].wait_state("copying", name=name)


def test_partitions_without_election(scene, source, target):
    """Then they are topics like others."""
    w = scene.writer(source, rate=400, subjects=PARTITIONS)
    with target.client() as t:
        for n in range(PARTITIONS):
            t.create_stream(f"P{n}", f"s.{n}")
    r = scene.prepare({"t": topic(source, target, partitions=PARTITIONS, filter_subject="s.{{partition}}",
                                  target_stream="P{{partition}}")}).start()
    for name in NAMES:
        r.wait_state("copying", name=name)
        assert r.topic(name)["role"] == "none"
    audit_all(w, source, target)


def test_servers_subject_mapping(scene, target):
    """As the manual shows it: the server puts messages into partitions by a token of their subject."""
    source = scene.server(extra='mappings = { "in.*": "s.{{partition(4,1)}}.{{wildcard(1)}}" }')
    with source.client() as c:
        c.create_stream("S", "s.>")
    with target.client() as t:
        for n in range(PARTITIONS):
            t.create_stream(f"P{n}", f"s.{n}.>")
    team = scene.team(2, {"t": topic(source, target, partitions=4, filter_subject="s.{{partition}}.>",
                                     target_stream="P{{partition}}", leader_election_name="W_{{partition}}")},
                      election={"ttl": "2s"}).start()
    with source.client() as c:
        for n in range(200):
            c.js_publish(f"in.host{n % 50}", b"%d" % n)
    wait_counts(team, [2, 2])
    with source.client() as s, target.client() as t:
        have = s.read_stream("S")
        assert len({m.subject.split(".")[1] for m in have}) == 4
        for n in range(4):
            wanted = Audit("S", topic=f"t_P{n}", filters=f"s.{n}.>")
            expected = sum(1 for m in have if wanted.expects(m))
            wait_until(lambda: t.state(f"P{n}")["messages"] >= expected, 20, f"copies of partition {n}")
            wanted.check(have, t.read_stream(f"P{n}"))
