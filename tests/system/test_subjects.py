"""Subject mapping and filters."""

import pytest

from lib import server
from lib.writer import fill


@pytest.mark.parametrize("prefix, remove", [("us-east", ""), ("", "s."), ("new", "s."), ("a.b", ".s")])
def test_mapping(scene, source, target, check_copy, prefix, remove):
    fill(source, 200)
    mapping = {k: v for k, v in (("target_subject_prefix", prefix), ("target_subject_remove", remove)) if v}
    if (prefix, remove) == ("", "s."):
        # s.1 becomes 1: the stream that is made for it cannot take ">", so it is made beforehand
        with target.client() as t:
            t.create_stream("S", [str(n) for n in range(20)])
    r = scene.replicate(source, target, **mapping)
    r.wait_committed(200)
    assert check_copy(source, target, prefix=prefix, remove=remove).copies == 200


def test_mapped_target_stream_takes_only_mapped_subjects(scene, source, target):
    fill(source, 10)
    r = scene.replicate(source, target, target_stream="FLEET", target_subject_prefix="us-east")
    r.wait_committed(10)
    with target.client() as t:
        assert t.stream_info("FLEET")["config"]["subjects"] == ["us-east.s.>"]
        assert not t.has_stream("S")


def test_one_filter(scene, source, target, check_copy):
    fill(source, 1000)
    r = scene.replicate(source, target, filter_subject="s.11")
    r.wait_topic(lambda t: t["lag_msgs"] == 0 and t["copied"] == 50, what="at the last match")
    assert check_copy(source, target, filters="s.11").copies == 50


def test_filter_with_wildcard(scene, source, target, check_copy):
    with source.client() as c:
        c.create_stream("W", "w.>")
        c.publish_many((f"w.{'abc'[n % 3]}.{n % 5}.x", b"%d" % n) for n in range(900))
    r = scene.replicate(source, target, stream="W", filter_subject="w.*.3.>")
    r.wait_topic(lambda t: t["copied"] == 180 and t["lag_msgs"] == 0)
    assert check_copy(source, target, stream="W", filters="w.*.3.>").copies == 180


def test_several_filters(scene, source, target, check_copy):
    """Servers before 2.10 do not know several filters and say nothing: then the worker filters."""
    filters = ["s.1", "s.7", "s.13"]
    fill(source, 2000)
    r = scene.replicate(source, target, filter_subject=filters)
    r.wait_topic(lambda t: t["copied"] == 300 and t["lag_msgs"] == 0)
    fill(source, 100, first=2001)
    r.wait_topic(lambda t: t["copied"] == 315 and t["lag_msgs"] == 0)
    assert check_copy(source, target, filters=filters).copies == 315


def test_several_filters_after_a_kill(scene, source, target, check_copy):
    filters = ["s.1", "s.7"]
    fill(source, 1000)
    r = scene.replicate(source, target, filter_subject=filters)
    r.wait_topic(lambda t: t["copied"] == 100)
    r.kill()
    fill(source, 1000, first=1001)
    r.start()
    r.wait_topic(lambda t: t["state"] == "copying" and t["lag_msgs"] == 0 and
                 (t["committed_seq"] or 0) >= 1987, what="at the end")
    assert check_copy(source, target, filters=filters).copies == 200


def test_filter_without_match_waits_without_lag(scene, source, target):
    fill(source, 500)
    r = scene.replicate(source, target, filter_subject="s.none")
    r.wait_topic(lambda t: t["state"] == "copying" and t["lag_msgs"] == 0)
    with source.client() as c:
        c.js_publish("s.none", b"x")
    r.wait_topic(lambda t: t["copied"] == 1)


def test_source_consumer_carries_the_filters(scene, source, target):
    """So that a server that can filter does not send everything."""
    fill(source, 100)
    r = scene.replicate(source, target, filter_subject=["s.1", "s.2"])
    r.wait_topic(lambda t: t["copied"] == 10)
    with source.client() as c:
        config = c.consumers("S")[0]["config"]
    if server.version() >= (2, 10, 0):
        assert sorted(config["filter_subjects"]) == ["s.1", "s.2"]
    else:
        assert "filter_subjects" not in config
