"""A target that cannot store now (holding), and messages it can never store (on_reject)."""

import pytest

from lib.audit import Audit, origin_of
from lib.nats import block, header_lines
from lib.proc import wait_until
from lib.writer import fill


# ---- cannot store now --------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"max_msgs": 50}, {"max_bytes": 20_000}], ids=["messages", "bytes"])
def test_full_target_holds_and_goes_on_when_there_is_space(scene, source, target, check_copy, limit):
    with target.client() as t:
        t.create_stream("S", "s.>", discard="new", **limit)
    fill(source, 300)
    r = scene.replicate(source, target)
    held = r.wait_state("holding")
    assert "10077" in held["reason"] and held["committed_seq"] < 300
    assert not r.status()["ok"] and r.command("status").returncode == 1
    with target.client() as t:
        t.update_stream("S", max_msgs=-1, max_bytes=-1)
    r.wait_committed(300)
    r.wait_state("copying")
    assert check_copy(source, target).copies == 300


def test_holding_survives_kill_and_restart(scene, source, target, check_copy):
    with target.client() as t:
        t.create_stream("S", "s.>", discard="new", max_msgs=50)
    fill(source, 300)
    r = scene.replicate(source, target)
    r.wait_state("holding")
    r.kill()
    r.start()
    r.wait_state("holding")
    with target.client() as t:
        t.update_stream("S", max_msgs=-1)
    r.wait_committed(300)
    check_copy(source, target)


def test_space_made_by_a_purge(scene, source, target):
    with target.client() as t:
        t.create_stream("S", "s.>", discard="new", max_msgs=100)
    fill(source, 150)
    r = scene.replicate(source, target)
    r.wait_state("holding")
    with target.client() as t:
        t.purge("S")
    r.wait_committed(150)
    with target.client() as t:
        origins = [origin_of(m.headers).seq for m in t.read_stream("S")]
    assert origins == list(range(151 - len(origins), 151)) and origins[0] == 101


def test_missing_permission_holds(scene, source, check_copy):
    users = '{ user: a, password: a, permissions: { publish: { deny: "s.>" } } }, { user: b, password: b }'
    target = scene.server(users=users, user="b", password="b")
    with target.client() as t:
        t.create_stream("S", "s.>")
    fill(source, 20)
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url,
                             "target_url": target.url_for(target.port, "a", "a")}}).start()
    assert "ermission" in r.wait_state("holding", 40)["reason"]
    target.users = "{ user: a, password: a }, { user: b, password: b }"
    target.reload()
    r.wait_committed(20)
    check_copy(source, target)


def test_subject_full_holds(scene, source, target, check_copy):
    """discard_new_per_subject: one subject that is full holds the topic."""
    with target.client() as t:
        t.create_stream("S", "s.>", discard="new", max_msgs_per_subject=3, discard_new_per_subject=True)
    fill(source, 100, subjects=5)
    r = scene.replicate(source, target)
    r.wait_state("holding")
    with target.client() as t:
        t.update_stream("S", discard_new_per_subject=False, max_msgs_per_subject=-1)
    r.wait_committed(100)
    check_copy(source, target)


# ---- can never be stored -----------------------------------------------------------------------------

GOOD, BAD = 20, 3


def fill_with_large(source, size):
    """20 good messages, with a large one behind the 5th, the 10th and the 20th."""
    with source.client() as c:
        for n in range(1, GOOD + 1):
            c.js_publish(f"s.{n}", b"%d" % n)
            if n in (5, 10, 20):
                c.js_publish("s.large", b"L" * size, block("Keep: me"))
    return [6, 12, 23]


def too_large(scene, kind):
    """A target that takes no messages of 5,000 bytes, for one of two reasons."""
    target = scene.server(max_payload=4000 if kind == "payload" else None)
    with target.client() as t:
        t.create_stream("S", "s.>", **({"max_msg_size": 3000} if kind == "stream" else {}))
        t.create_stream("DEAD", "dead.>")
    return target


KINDS = pytest.mark.parametrize("kind", ["payload", "stream"])


@KINDS
def test_too_large_halts_and_names_the_sequence(scene, source, kind):
    target = too_large(scene, kind)
    fill_with_large(source, 5000)
    r = scene.replicate(source, target)
    t = r.wait_state("halted")
    assert "6" in t["reason"]
    r.wait_committed(5)
    r.wait_incident("6")
    assert not r.status()["ok"]
    # the cure that the operator chooses
    r.topics["t"]["on_reject"] = "skip"
    r.write()
    r.command("reload", check=True)
    r.wait_topic(lambda t: t["state"] == "copying" and t["lag_msgs"] == 0)
    assert Audit("S", wanted=lambda m: m.subject != "s.large").check(
        *read_both(source, target)).copies == GOOD


@KINDS
def test_too_large_is_skipped_and_counted(scene, source, kind):
    target = too_large(scene, kind)
    bad = fill_with_large(source, 5000)
    r = scene.replicate(source, target, on_reject="skip")
    t = r.wait_topic(lambda t: t["copied"] == GOOD and t["lag_msgs"] == 0)
    assert t["failed"] == BAD or t["counters"]["rejected_msgs"] == BAD
    assert Audit("S", wanted=lambda m: m.subject != "s.large").check(
        *read_both(source, target)).copies == GOOD
    for seq in bad:
        r.wait_incident(str(seq))


@KINDS
def test_too_large_goes_to_the_dead_letter_subject(scene, source, kind):
    target = too_large(scene, kind)
    bad = fill_with_large(source, 5000)
    r = scene.replicate(source, target, on_reject="dead_letter", dead_letter_subject="dead.letter")
    r.wait_topic(lambda t: t["copied"] == GOOD and t["lag_msgs"] == 0)
    Audit("S", wanted=lambda m: m.subject != "s.large").check(*read_both(source, target))
    t = scene.client(target)
    wait_until(lambda: t.last_seq("DEAD") == BAD, 10, "the dead letters")
    letters = t.read_stream("DEAD")
    assert [origin_of(m.headers).seq for m in letters] == bad
    for m in letters:
        names = [line.split(b":")[0] for line in header_lines(m.headers)]
        assert b"Keep" in names and any(b"eason" in n for n in names), m.headers
        assert m.data == (b"L" * 5000 if kind == "stream" else b"")


@pytest.mark.parametrize("on_reject", ["skip", "dead_letter"])
def test_rejections_under_load_and_kills(scene, source, on_reject):
    """The map from messages to slots changes with each one that is refused; nothing else may suffer."""
    target = too_large(scene, "stream")
    with source.client() as c:
        c.publish_many((f"s.{n % 7}", b"L" * 5000 if n % 97 == 0 else b"%d" % n) for n in range(1, 4001))
    more = {"dead_letter_subject": "dead.letter"} if on_reject == "dead_letter" else {}
    r = scene.replicate(source, target, on_reject=on_reject, rate_limit="2000/s", **more)
    for seq in (700, 1900):
        r.wait_committed(seq)
        r.kill()
        r.start()
    r.wait_topic(lambda t: t["state"] == "copying" and t["lag_msgs"] == 0 and
                 (t["committed_seq"] or 0) >= 4000)
    assert Audit("S", wanted=lambda m: len(m.data) < 5000).check(
        *read_both(source, target)).copies == 4000 - 4000 // 97


def test_header_block_with_a_nul_byte_is_refused_not_changed(scene, source, target):
    with source.client() as c:
        c.js_publish("s.1", b"x")
        c.js_publish("s.nul", b"x", b"NATS/1.0\r\nA: a\0b\r\n\r\n")
        c.js_publish("s.3", b"x")
    r = scene.replicate(source, target, on_reject="skip")
    r.wait_topic(lambda t: t["lag_msgs"] == 0 and t["copied"] >= 2)
    have = read_both(source, target)
    copies = {m.subject for m in have[1]}
    assert copies == {"s.1", "s.3"} or Audit("S").run(*have).ok


def test_subject_the_target_does_not_take(scene, source, target):
    """No stream of the target listens to it: halt, with the subject."""
    with target.client() as t:
        t.create_stream("S", ["s.1", "s.2"])
    with source.client() as c:
        for n in (1, 2, 3):
            c.js_publish(f"s.{n}", b"x")
    r = scene.replicate(source, target)
    assert "s.3" in r.wait_topic(lambda t: t["state"] in ("halted", "holding"), 40)["reason"]
    with target.client() as t:
        t.update_stream("S", subjects=["s.>"])
    if r.topic()["state"] == "halted":
        r.command("restart", "t", check=True)
    r.wait_committed(3)


def test_sealed_target_holds(scene, source, target):
    with target.client() as t:
        t.create_stream("S", "s.>")
        t.update_stream("S", sealed=True)
    fill(source, 5)
    r = scene.replicate(source, target)
    assert r.wait_topic(lambda t: t["state"] in ("holding", "halted"), 40)["reason"]


def read_both(source, target):
    with source.client() as s, target.client() as t:
        return s.read_stream("S"), t.read_stream("S")
