"""The target stream: made where it is missing, and what happens to the copy when somebody purges it,
deletes from it, restores it or makes it anew."""

import os
import shutil

import pytest

from lib import server
from lib.audit import origin_of
from lib.proc import wait_until
from lib.writer import fill


def target_origins(target, stream="S"):
    with target.client() as t:
        return [origin_of(m.headers).seq for m in t.read_stream(stream)]


# ---- creation ----------------------------------------------------------------------------------------


def test_missing_target_is_made_like_the_source(scene, source, target):
    c = scene.client(source)
    c.create_stream("MADE", ["m.a", "m.b.>"], max_msgs_per_subject=50, max_age=3600 * 10**9,
                    max_msg_size=100_000, description="registrations")
    c.js_publish("m.a", b"x")
    r = scene.replicate(source, target, stream="MADE")
    r.wait_committed(1)
    with target.client() as t:
        config = t.stream_info("MADE")["config"]
    assert sorted(config["subjects"]) == ["m.a", "m.b.>"]
    assert config["max_msgs_per_subject"] == 50 and config["max_age"] == 3600 * 10**9
    assert config["storage"] == "file" and config["num_replicas"] == 1


def test_target_is_made_without_sources_and_mirror(scene, source, target, check_copy):
    c = scene.client(source)
    c.create_stream("AGG", "agg.>", sources=[{"name": "S"}])
    fill(source, 10)
    wait_until(lambda: c.last_seq("AGG") == 10, 10, "the sourced messages")
    # whose subjects the stream does not list, so that they have to be named
    r = scene.replicate(source, target, stream="AGG", filter_subject="s.>")
    r.wait_committed(10)
    with target.client() as t:
        config = t.stream_info("AGG")["config"]
    assert not config.get("sources") and not config.get("mirror")


def test_target_is_made_from_a_mirror(scene, source, target):
    c = scene.client(source)
    c.create_stream("MIRROR", mirror={"name": "S"})
    fill(source, 10)
    wait_until(lambda: c.last_seq("MIRROR") == 10, 10, "the mirrored messages")
    with target.client() as t:
        t.create_stream("MIRROR", "s.>")
    r = scene.replicate(source, target, stream="MIRROR")
    r.wait_committed(10)
    assert target_origins(target, "MIRROR") == list(range(1, 11))


def test_no_target_create_waits_for_the_stream(scene, source, target, check_copy):
    fill(source, 10)
    r = scene.replicate(source, target, no_target_create=True)
    reason = r.wait_topic(lambda t: t["state"] in ("holding", "halted") and t["reason"])["reason"]
    assert "S" in reason
    with target.client() as t:
        assert not t.has_stream("S")
        t.create_stream("S", "s.>")
    if r.topic()["state"] == "halted":
        r.command("restart", "t", check=True)
    r.wait_committed(10)
    check_copy(source, target)


def test_existing_target_stays_as_it_is(scene, source, target, check_copy):
    with target.client() as t:
        t.create_stream("S", "s.>", max_msgs=1000, storage="memory")
    fill(source, 50)
    scene.replicate(source, target).wait_committed(50)
    check_copy(source, target)
    with target.client() as t:
        config = t.stream_info("S")["config"]
    assert config["max_msgs"] == 1000 and config["storage"] == "memory"


@pytest.mark.parametrize("config, word", [
    ({"no_ack": True, "subjects": ["s.>"]}, "no_ack"),
    ({"mirror": {"name": "OTHER"}}, "mirror"),
])
def test_target_that_cannot_work_is_refused(scene, source, target, config, word):
    with target.client() as t:
        t.create_stream("OTHER", "other.>")
        t.create_stream("S", **config)
    fill(source, 5)
    r = scene.replicate(source, target)
    assert word in r.wait_state("halted")["reason"]
    check = r.command("check", "--connect")
    assert check.returncode == 1 and word in check.stdout + check.stderr


def test_source_and_target_the_same_stream_is_refused(scene, source):
    """Also where the configuration does not show it: through another address."""
    fill(source, 5)
    r = scene.replicate(source, source, target_port=scene.link(source).port)
    r.wait_state("halted")
    with source.client() as c:
        assert c.last_seq("S") == 5, "nothing was copied onto itself"
    assert r.command("check", "--connect").returncode == 1


def test_two_streams_of_one_server(scene, source, check_copy):
    fill(source, 100)
    r = scene.replicate(source, source, target_stream="COPY", target_subject_prefix="copy")
    r.wait_committed(100)
    check_copy(source, source, target_stream="COPY", prefix="copy")


# ---- purged, deleted from ----------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_purged_target_is_not_filled_again(scene, source, target, running):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    if not running:
        assert r.stop() == 0
    with target.client() as t:
        t.purge("S")
    fill(source, 50, first=101)
    if not running:
        r.start()
    r.wait_committed(150)
    assert target_origins(target) == list(range(101, 151))


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_deleted_tail_is_not_copied_again(scene, source, target, running):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    if not running:
        assert r.stop() == 0
    with target.client() as t:
        for seq in range(96, 101):
            t.delete_message("S", seq)
    if not running:
        r.start()
    fill(source, 20, first=101)
    r.wait_committed(120)
    assert target_origins(target) == [*range(1, 96), *range(101, 121)]


def test_purged_target_after_a_killed_worker(scene, source, target):
    """The message at the end is gone and the process that put it there too."""
    fill(source, 500)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    wait_until(lambda: r.database("SELECT source_seq FROM checkpoint") == [(500,)], 10, "the checkpoint")
    r.kill()
    with target.client() as t:
        t.purge("S")
    fill(source, 10, first=501)
    r.start()
    r.wait_committed(510)
    assert target_origins(target) == list(range(501, 511))


def test_target_that_keeps_few_messages(scene, source, target):
    with target.client() as t:
        t.create_stream("S", "s.>", max_msgs=10)
    fill(source, 3000)
    r = scene.replicate(source, target)
    r.wait_committed(3000)
    assert target_origins(target) == list(range(2991, 3001))
    r.stop()
    fill(source, 500, first=3001)
    r.start()
    r.wait_committed(3500)
    with target.client() as t:
        assert t.last_seq("S") == 3500, "each one was stored once"


# ---- went back, made anew ----------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_target_that_went_back_is_filled_again(scene, source, target, check_copy, running):
    """Its store comes from a copy that somebody made earlier."""
    fill(source, 300)
    r = scene.replicate(source, target)
    r.wait_committed(300)
    target.stop()
    backup = os.path.join(target.dir, "backup")
    shutil.copytree(target.store, backup)
    target.start()
    fill(source, 200, first=301)
    r.wait_committed(500)
    wait_until(lambda: r.database("SELECT source_seq FROM checkpoint") == [(500,)], 10, "the checkpoint")
    if not running:
        r.stop()
    target.stop()
    shutil.rmtree(target.store)
    shutil.copytree(backup, target.store)
    target.start()
    if not running:
        r.start()
    t = scene.client(target)
    wait_until(lambda: t.last_seq("S") == 500, 30, "the lost messages are copied again")
    check_copy(source, target)
    r.wait_incident("back")


def remake(target):
    with target.client() as t:
        t.delete_stream("S")
        t.create_stream("S", "s.>")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_target_made_anew_is_filled_again(scene, source, target, check_copy, running):
    fill(source, 200)
    r = scene.replicate(source, target)
    r.wait_committed(200)
    if not running:
        r.stop()
    remake(target)
    if not running:
        r.start()
    fill(source, 5, first=201)
    t = scene.client(target)
    wait_until(lambda: t.last_seq("S") == 205, 30, "everything is copied again")
    check_copy(source, target)
    r.wait_incident("target")


def test_deleted_target_is_made_and_filled_again(scene, source, target, check_copy):
    fill(source, 200)
    r = scene.replicate(source, target)
    r.wait_committed(200)
    t = scene.client(target)
    t.delete_stream("S")
    fill(source, 5, first=201)
    wait_until(lambda: t.has_stream("S") and t.last_seq("S") == 205, 40, "the target is there again")
    check_copy(source, target)


def test_target_made_anew_goes_on(scene, source, target):
    fill(source, 200)
    r = scene.replicate(source, target, on_target_reset="continue")
    r.wait_committed(200)
    remake(target)
    fill(source, 5, first=201)
    r.wait_committed(205)
    assert target_origins(target) == list(range(201, 206))
    r.wait_incident("target")


def test_target_made_anew_halts(scene, source, target):
    fill(source, 200)
    r = scene.replicate(source, target, on_target_reset="halt")
    r.wait_committed(200)
    remake(target)
    fill(source, 5, first=201)
    assert r.wait_state("halted", 40)["reason"]
    with target.client() as t:
        assert t.last_seq("S") == 0
    r.wait_incident("target")


# ---- domains -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["source", "target"])
def test_domain_behind_a_leaf_node(scene, check_copy, side):
    hub = scene.server(domain="hub", leaf=True)
    leaf = scene.server(domain="leaf", hub=hub)
    if side == "source":
        with hub.client() as c:
            c.create_stream("S", "s.>")
        fill(hub, 500)
        # both ends are reached through the leaf node
        r = scene.replicate(leaf, leaf, source_domain="hub", target_stream="COPY",
                            target_subject_prefix="copy")
        r.wait_committed(500)
        check_copy(hub, leaf, target_stream="COPY", prefix="copy")
    else:
        with leaf.client() as c:
            c.create_stream("S", "s.>")
        fill(leaf, 500)
        r = scene.replicate(leaf, leaf, target_domain="hub", target_stream="COPY",
                            target_subject_prefix="copy")
        r.wait_committed(500)
        check_copy(leaf, hub, target_stream="COPY", prefix="copy")


def test_newer_streams_lose_what_makes_them_grow(scene, source, target):
    if server.version() < (2, 11, 0):
        return  # such servers have nothing of the kind
    c = scene.client(source)
    c.create_stream("NEW", "new.>", allow_msg_ttl=True, subject_delete_marker_ttl=10 * 10**9,
                    allow_rollup_hdrs=True)
    c.js_publish("new.1", b"x")
    r = scene.replicate(source, target, stream="NEW")
    r.wait_committed(1)
    with target.client() as t:
        assert not t.stream_info("NEW")["config"].get("subject_delete_marker_ttl")
