"""Reload: only what changed is touched, and a bad file changes nothing."""

import os
import signal

import pytest

from lib.proc import alive, wait_until
from lib.replicator import topic
from lib.writer import fill


@pytest.fixture
def three(scene, source, target):
    """Topics a, b, c on streams of their own, at work."""
    with source.client() as c:
        for name in "abcd":
            c.create_stream(name.upper(), f"{name}.>")
    r = scene.prepare({n: topic(source, target, n.upper()) for n in "abc"}).start()
    for n in "abc":
        r.wait_state("copying", name=n)
    return r


def pids(r):
    return {t["name"]: t["pid"] for t in r.status()["topics"]}


@pytest.fixture(params=["command", "signal"])
def reload(request, three):
    """By the command, which answers, or by HUP, which does not."""

    def run():
        three.write()
        if request.param == "command":
            three.command("reload", check=True)
        else:
            three.signal(signal.SIGHUP)
    return run


def test_add_remove_and_change(three, source, target, reload):
    before = pids(three)
    del three.topics["a"]
    three.topics["b"]["rate_limit"] = "5000/s"
    three.topics["d"] = topic(source, target, "D")
    reload()
    wait_until(lambda: sorted(pids(three)) == ["b", "c", "d"], 15, "the new set of topics")
    three.wait_worker_died(before["b"], name="b")
    three.wait_state("copying", name="b")
    three.wait_state("copying", name="d")
    after = pids(three)
    assert after["c"] == before["c"], "what did not change is not touched"
    wait_until(lambda: not alive(before["a"]), 10, "the end of a's worker")
    for n in "bcd":
        fill(source, 50, n)
        three.wait_committed(50, name=n)


def test_nothing_changed(three, reload):
    before = pids(three)
    reload()
    three.control("status")
    wait_until(lambda: "reload" in three.log(1000).lower(), 5, "a line about it")
    assert pids(three) == before


@pytest.mark.parametrize("text, line", [
    ('name = "HERE"\nbogus_key = 1\n', 2),
    ('name = "HERE"\ntopic a {\n    stream = A\n', 2),
    ('name = "HERE"\ntopic a {\n  stream = A\n  source_url = "foo"\n  target_url = "nats://x:1"\n}\n', 4),
])
def test_bad_file_changes_nothing(three, source, text, line):
    before = pids(three)
    good = three.conf + ".good"
    os.rename(three.conf, good)
    three.write(text)
    done = three.command("reload", "--socket", three.socket_path)
    assert done.returncode in (1, 78)
    assert f"{three.conf}:{line}" in done.stdout + done.stderr, done
    three.wait_log(f"{three.conf}:{line}")
    assert pids(three) == before
    for n in "abc":
        fill(source, 10, n)
        three.wait_committed(10, name=n)
    os.rename(good, three.conf)
    three.command("reload", check=True)
    assert pids(three) == before


@pytest.mark.parametrize("what", ["missing", "directory", "binary"])
def test_file_that_is_none(three, what):
    before = pids(three)
    os.unlink(three.conf)
    if what == "directory":
        os.mkdir(three.conf)
    elif what == "binary":
        with open(three.conf, "wb") as f:
            f.write(os.urandom(5000) + b"\0" * 100 + b"{" * 100_000)
    done = three.command("reload", timeout=15) if what == "binary" else None
    three.signal(signal.SIGHUP)
    three.wait_log("sr.conf")
    assert pids(three) == before and three.running()
    assert done is None or done.returncode != 0


def test_permanent_failure_is_tried_again_after_reload(three, source, target):
    """A credentials file that does not exist: down until reload, with the reason."""
    three.topics["d"] = topic(source, target, "D")
    three.topics["d"]["source_url"] += "?credentials=" + os.path.join(three.dir, "none.creds")
    three.write()
    three.command("reload")
    if "d" in pids(three):
        reason = three.wait_topic(lambda t: t["reason"], name="d")["reason"]
        assert "none.creds" in reason
    three.topics["d"] = topic(source, target, "D")
    three.write()
    three.command("reload", check=True)
    fill(source, 5, "d")
    three.wait_committed(5, name="d")


def test_included_files_and_environment(scene, source, target):
    fill(source, 10)
    r = scene.prepare({})
    part = os.path.join(r.dir, "part.conf")
    with open(part, "w") as f:
        f.write('topic t {\n stream = S\n source_url = "${SR_TEST_URL}"\n'
                f' target_url = "{target.url}"\n}}\n')
    with open(r.conf, "a") as f:
        f.write(f'include("{part}")\n')
    r.start(env={"SR_TEST_URL": source.url})
    r.wait_committed(10)


def test_paused_topic_stays_paused_over_reload(three, source):
    three.command("pause", "a", check=True)
    three.wait_state("paused", name="a")
    three.command("reload", check=True)
    fill(source, 10, "a")
    three.topics["b"]["rate_limit"] = "100/s"
    three.write()
    three.command("reload", check=True)
    three.wait_state("copying", name="b")
    assert three.topic("a")["state"] == "paused"
    three.command("resume", "a", check=True)
    three.wait_committed(10, name="a")


def test_log_is_opened_again(three):
    """What logrotate does: rename, then USR1."""
    rotated = three.log_path + ".1"
    os.rename(three.log_path, rotated)
    three.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(three.log_path), 5, "a new log file")
    size = os.path.getsize(rotated)
    three.signal(signal.SIGUSR2)
    wait_until(lambda: os.path.getsize(three.log_path) > 0, 5, "lines in it")
    assert os.path.getsize(rotated) == size
