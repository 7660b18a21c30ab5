"""check --connect: what it sees at both ends, what it refuses, and that it leaves no trace."""

import pytest

from lib.replicator import topic
from lib.writer import fill


def connect(r, code=0):
    done = r.command("check", "--connect")
    assert done.returncode == code, done
    return done.stdout


def refused(r, *words):
    out = connect(r, 1)
    for word in words:
        assert word in out, out


def test_leaves_no_trace(scene, source, target):
    fill(source, 100)
    with target.client() as t:
        t.create_stream("S", "s.>")
    r = scene.prepare({"t": topic(source, target)})
    out = connect(r)
    assert "100 messages (everything)" in out and "2." in out, out
    with source.client() as s, target.client() as t:
        assert t.state("S")["last_seq"] == 0 and not t.consumers("S")
        assert s.state("S")["last_seq"] == 100 and not s.consumers("S")


def test_does_not_disturb_a_running_topic(scene, source, target, check_copy):
    w = scene.writer(source, rate=500)
    r = scene.replicate(source, target)
    for _ in range(5):
        connect(r)
    w.stop()
    with source.client() as c:
        last = c.last_seq("S")
    r.wait_committed(last)
    assert r.topic()["rewinds"] == 0
    check_copy(source, target)


def test_of_another_site_is_no_writer(scene, source, target):
    """What it tries to publish is never stored: a topic that runs stays the only writer of its target."""
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    other = scene.prepare({"t": topic(source, target)}, name="ELSEWHERE")
    connect(other)
    fill(source, 10, first=101)
    r.wait_committed(110)
    assert r.topic()["rewinds"] == 0 and not r.incidents(), r.incidents()


def test_how_much_there_is_to_copy(scene, source, target):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    r.stop()
    assert "nothing now" in connect(r)
    fill(source, 40, first=101)
    out = connect(r)
    assert "40 messages (behind source sequence 100, as the target says)" in out, out
    with target.client() as t:
        t.purge("S")
    assert "as the source's consumer says" in connect(r)


def test_counts_what_the_filters_let_through(scene, source, target):
    fill(source, 100)
    r = scene.prepare({"t": topic(source, target, filter_subject="s.1", start_sequence=51)})
    with source.client() as s:
        count = sum(1 for m in s.read_stream("S", start=51) if m.subject == "s.1")
    assert f"{count} messages (from start_sequence on)" in connect(r)


def test_an_empty_source(scene, source, target):
    r = scene.prepare({"t": topic(source, target)})
    out = connect(r)
    assert "empty" in out and "nothing now" in out and "would be created" in out


def test_no_target_create(scene, source, target):
    r = scene.prepare({"t": topic(source, target, no_target_create=True)})
    refused(r, "no_target_create", "S")


def test_the_same_stream(scene, source):
    link = scene.link(source)
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url,
                             "target_url": f"nats://127.0.0.1:{link.port}"}})
    refused(r, "the same stream")


@pytest.mark.parametrize("config, word", [({"no_ack": True}, "no_ack"), ({"subjects": ["x.>"]}, "subjects"),
                                          ({"mirror": {"name": "OTHER"}, "subjects": None}, "mirror")],
                         ids=["no_ack", "subjects", "mirror"])
def test_a_target_that_cannot_work(scene, source, target, config, word):
    with target.client() as t:
        t.create_stream("OTHER", "other")
        subjects = config.pop("subjects", ["s.>"])
        t.create_stream("S", subjects, **config)
    refused(scene.prepare({"t": topic(source, target)}), word)


def test_wrong_password(scene, source):
    target = scene.server(users="{ user: a, password: a }", user="a", password="a")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url,
                             "target_url": target.url_for(target.port, "a", "wrong")}})
    refused(r, "target", "uthoriz")
    assert "wrong" not in connect(r, 1)


RIGHTS = {
    "info": "$JS.API.STREAM.INFO.S",
    "create": "$JS.API.CONSUMER.DURABLE.CREATE.S.*",
    "pull": "$JS.API.CONSUMER.MSG.NEXT.S.*",
    "ack": "$JS.ACK.S.>",
}


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_lacks_at_the_source(scene, target, right):
    users = ('{ user: a, password: a, permissions: { publish: { deny: "%s" } } }, { user: b, password: b }'
             % RIGHTS[right])
    source = scene.server(users=users, user="b", password="b")
    with source.client() as s:
        s.create_stream("S", "s.>")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url_for(source.port, "a", "a"),
                             "target_url": target.url}})
    refused(r, "source", "ermission", RIGHTS[right].split("*")[0].rstrip(".>"))


@pytest.mark.parametrize("right", ["$JS.API.STREAM.CREATE.S", "$JS.API.STREAM.MSG.GET.S"])
def test_a_right_lacks_at_the_target(scene, source, right):
    users = ('{ user: a, password: a, permissions: { publish: { deny: "%s" } } }, { user: b, password: b }'
             % right)
    target = scene.server(users=users, user="b", password="b")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url,
                             "target_url": target.url_for(target.port, "a", "a")}})
    refused(r, "target", "ermission", right)


def test_every_topic_is_checked(scene, source, target):
    with source.client() as s:
        s.create_stream("U", "u.>")
    r = scene.prepare({"bad": topic(source, target, stream="NOSUCH"),
                       "good": topic(source, target, stream="U")})
    out = connect(r, 1)
    bad, good = out.split("\ngood\n")
    assert "PROBLEM" in bad and "PROBLEM" not in good and "nothing stands in its way" in good


def test_wrong_configuration(scene, source, target):
    r = scene.prepare({"t": topic(source, target, nonsense="x")})
    done = r.command("check", "--connect")
    assert done.returncode == 78 and "nonsense" in done.stderr


SAMPLED = {"inspect_field": "sender", "inspect_duration": "1h"}
ADVISORIES = dict(SAMPLED, **{"advisory": {"subject": "adv.%s.%v", "cluster": "target", "reliable": True}})


def test_sampling_is_tried(scene, source, target):
    with target.client() as t:
        t.create_stream("ADV", "adv.>")
    r = scene.prepare({"t": topic(source, target, gossip=True, **ADVISORIES)})
    out = connect(r)
    assert "gossip   rights: all" in out, out
    for event in ("new", "timeout", "recover", "expire"):
        assert f"adv.{event}.stream-replicator-check, stored by stream ADV" in out, out
    with target.client() as t:
        assert t.state("ADV")["last_seq"] == 0


def test_reliable_advisories_need_a_stream(scene, source, target):
    with target.client() as t:
        t.create_stream("ADV", "adv.new.*")
    r = scene.prepare({"t": topic(source, target, **ADVISORIES)})
    refused(r, "no stream takes adv.timeout", "adv.new.stream-replicator-check, stored by stream ADV")


def test_advisories_among_what_is_copied(scene, source, target):
    config = dict(SAMPLED, advisory={"subject": "adv.%s"})
    with source.client() as s:
        s.update_stream("S", subjects=["s.>", "adv.>"])
    refused(scene.prepare({"t": topic(source, target, **config)}), "stores the topic's own advisories")
    assert "PROBLEM" not in connect(scene.prepare({"t": topic(source, target, filter_subject="s.>", **config)}))


GOSSIP = "choria.stream-replicator.sync.S.t"


@pytest.mark.parametrize("subjects", ["choria.>", GOSSIP, GOSSIP + ".*"])
def test_gossip_among_what_is_copied(scene, source, target, subjects):
    """Each word of it would be copied, and be gossip again where it names a sender."""
    with source.client() as s:
        s.update_stream("S", subjects=["s.>", subjects])
    config = dict(SAMPLED, gossip=True)
    refused(scene.prepare({"t": topic(source, target, **config)}), "stores the topic's own gossip", GOSSIP)
    assert "PROBLEM" not in connect(scene.prepare({"t": topic(source, target, **SAMPLED)}))
    assert "PROBLEM" not in connect(scene.prepare({"t": topic(source, target, filter_subject="s.>", **config)}))


@pytest.mark.parametrize("direction, right", [
    ("publish", GOSSIP), ("publish", GOSSIP + ".position"), ("subscribe", GOSSIP),
    ("subscribe", GOSSIP + ".snapshot"), ("publish", "adv.expire")])
def test_a_right_of_sampling_lacks(scene, target, direction, right):
    users = ('{ user: a, password: a, permissions: { %s: { deny: "%s" } } }, { user: b, password: b }'
             % (direction, right))
    source = scene.server(users=users, user="b", password="b")
    with source.client() as s:
        s.create_stream("S", "s.>")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url_for(source.port, "a", "a"),
                             "target_url": target.url, "gossip": True, "advisory": {"subject": "adv.%s"},
                             **SAMPLED}})
    refused(r, "source", "ermission", right)


def test_each_right_of_sampling_lacks(scene, target):
    """A user that may only what copying needs: each refusal is told, and none for another's."""
    allowed = ", ".join('"%s"' % s for s in (
        "$JS.API.STREAM.INFO.S", "$JS.API.STREAM.MSG.GET.S", "$JS.API.CONSUMER.INFO.S.*",
        "$JS.API.CONSUMER.DURABLE.CREATE.S.t_S", "$JS.API.CONSUMER.CREATE.S.*", "$JS.API.CONSUMER.DELETE.S.*",
        "$JS.API.CONSUMER.MSG.NEXT.S.*", "$JS.ACK.S.>"))
    users = ('{ user: a, password: a, permissions: { publish: [%s], subscribe: ["_INBOX.>"] } }, '
             '{ user: b, password: b }' % allowed)
    source = scene.server(users=users, user="b", password="b")
    with source.client() as s:
        s.create_stream("S", "s.>")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url_for(source.port, "a", "a"),
                             "target_url": target.url, "gossip": True, "advisory": {"subject": "adv.%s"},
                             **SAMPLED}})
    done = r.command("check", "--connect")
    told = [line for line in done.stdout.splitlines() if "PROBLEM" in line]
    for suffix in ("", ".position", ".snapshot"):
        for way in ("Publish", "Subscription"):
            assert len([t for t in told if f'{way} to "{GOSSIP}{suffix}"' in t]) == 1, done
    assert len([t for t in told if 'Publish to "_INBOX.' in t]) == 1, done
    assert len([t for t in told if 'Publish to "adv.' in t]) == 4, done
    assert len(told) == 11 and done.returncode == 1, done


def test_the_right_to_read_back_lacks(scene, source):
    users = ('{ user: a, password: a, permissions: { publish: { deny: "$JS.API.CONSUMER.CREATE.S.>" } } }, '
             '{ user: b, password: b }')
    target = scene.server(users=users, user="b", password="b")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url,
                             "target_url": target.url_for(target.port, "a", "a"), **SAMPLED}})
    refused(r, "target", "ermission", "CONSUMER.CREATE.S", "copied last")
