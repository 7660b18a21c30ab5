"""verify: finds what differs, names it, and says 0 only where nothing does."""

import json

import pytest

from lib import odd
from lib.nats import block
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
