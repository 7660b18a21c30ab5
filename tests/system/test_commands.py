"""The commands: what they print, their exit codes, and the control socket."""

import json
import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from lib import replicator
from lib.proc import alive, free_port, wait_until
from lib.replicator import program, topic, wait_gone
from lib.writer import fill

STATUS_FIELDS = {
    "name", "worker", "pid", "state", "reason", "role", "term", "source_last_seq", "committed_seq",
    "target_seq", "lag_msgs", "lag_seconds", "rate_msgs", "eta_s", "inflight", "window", "copied", "skipped",
    "failed", "rewinds", "restarts", "uptime_s"}
NUMBERS = STATUS_FIELDS - {"name", "worker", "state", "reason", "role"}
VERBS = ("run", "check", "status", "pause", "resume", "restart", "reload", "stop", "verify")


def plain(*args, **kw):
    return subprocess.run([program(), *args], capture_output=True, text=True, timeout=30,
                          env=replicator.environment(), **kw)


@pytest.fixture
def running(scene, source, target):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_topic(lambda t: t["committed_seq"] == 100 and t["lag_msgs"] == 0)
    return r


# ---- status ------------------------------------------------------------------------------------------


def test_status_json(running):
    done = running.command("status", "--json", check=True)
    status = json.loads(done.stdout)
    assert {"name", "node", "version", "pid", "uptime_s", "ok", "topics", "elections"} <= set(status)
    assert status["name"] == "HERE" and status["ok"] is True and status["elections"] == []
    assert status["pid"] == running.child.pid
    t, = status["topics"]
    assert STATUS_FIELDS <= set(t), STATUS_FIELDS - set(t)
    for field in NUMBERS:
        assert t[field] is None or isinstance(t[field], (int, float)), (field, t[field])
    assert (t["name"], t["state"], t["role"]) == ("t", "copying", "none")
    assert (t["source_last_seq"], t["committed_seq"], t["target_seq"], t["lag_msgs"]) == (100, 100, 100, 0)
    assert t["copied"] == 100 and t["failed"] == 0


def test_status_for_people(running):
    done = running.command("status", check=True)
    for word in ("t", "copying", "100"):
        assert word in done.stdout
    assert "\033" not in done.stdout, "no colour where there is no terminal"


def test_status_finds_the_socket_by_either_option(running):
    done = plain("status", "--socket", running.socket_path, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ok"]


def test_status_without_daemon(running):
    running.stop()
    done = running.command("status")
    assert done.returncode == 1 and running.socket_path in done.stderr


def test_status_of_two_workers_and_lag(scene, source, target):
    fill(source, 5000)
    r = scene.replicate(source, target, rate_limit="500/s")
    t = r.wait_topic(lambda t: t["state"] == "copying" and (t["committed_seq"] or 0) > 300 and t["eta_s"])
    assert t["lag_msgs"] > 0 and t["lag_seconds"] > 0 and 100 < t["rate_msgs"] < 1500
    assert r.command("status").returncode == 0


# ---- pause, resume, restart, stop --------------------------------------------------------------------


def test_pause_and_resume(running, source, target):
    running.command("pause", "t", check=True)
    running.wait_state("paused")
    fill(source, 50, first=101)
    assert running.topic()["committed_seq"] == 100
    running.command("resume", "t", check=True)
    running.wait_committed(150)
    assert running.topic()["restarts"] == 0


def test_pause_survives_a_restart_of_the_worker(running, source):
    running.command("pause", "t", check=True)
    running.wait_state("paused")
    pid = running.worker_pid()
    os.kill(pid, signal.SIGKILL)
    running.wait_worker_died(pid)
    fill(source, 10, first=101)
    running.wait_state("paused")
    running.command("resume", "t", check=True)
    running.wait_committed(110)


def test_pause_while_copying_drains_first(scene, source, target, check_copy):
    w = scene.writer(source, rate=3000)
    r = scene.replicate(source, target)
    for n in range(5):
        r.wait_committed(1000 * (n + 1))
        r.command("pause", "t", check=True)
        r.wait_state("paused")
        with target.client() as c:
            at_pause = c.last_seq("S")
            r.wait_topic(lambda t: t["target_seq"] == at_pause and not t["inflight"], 5)
            assert c.last_seq("S") == at_pause
        r.command("resume", "t", check=True)
    w.stop()
    with source.client() as c:
        r.wait_committed(c.last_seq("S"))
    check_copy(source, target)


def test_restart(running, source):
    pid = running.worker_pid()
    running.command("restart", "t", check=True)
    running.wait_worker_died(pid)
    fill(source, 10, first=101)
    running.wait_committed(110)


@pytest.mark.parametrize("verb", ["pause", "resume", "restart"])
def test_unknown_topic_is_named(running, verb):
    done = running.command(verb, "nosuch")
    assert done.returncode in (1, 2) and "nosuch" in done.stderr
    done = running.command(verb)
    assert done.returncode == 2


def test_stop(running):
    pid, worker = running.child.pid, running.worker_pid()
    running.command("stop", check=True)
    wait_until(lambda: running.child.poll() is not None, 10, "the end")
    assert running.child.returncode == 0
    wait_gone([worker])
    assert not os.path.exists(running.socket_path) and not alive(pid)


# ---- start -------------------------------------------------------------------------------------------


def test_second_start_is_refused(running):
    done = plain("run", "--config", running.conf)
    assert done.returncode in (1, 78) and done.stderr
    assert running.running() and running.status()["ok"]


def test_socket_of_a_killed_daemon_is_replaced(running):
    running.kill()
    assert os.path.exists(running.socket_path)
    running.start()


def test_without_a_verb_it_runs(scene, source, target):
    r = scene.prepare({"t": topic(source, target)})
    fill(source, 5)
    child = subprocess.Popen([program(), "--config", r.conf], env=replicator.environment(),
                             stderr=subprocess.DEVNULL)
    try:
        r.child = child
        r.wait_answering()
        r.wait_committed(5)
    finally:
        child.terminate()
        assert child.wait(10) == 0


@pytest.mark.parametrize("args, env", [
    (["--topic", "a", "--topic", "c"], {}), (["--topics", "a c"], {}), ([], {"TOPICS": "a c"})])
def test_only_some_topics(scene, source, target, args, env):
    with source.client() as c:
        for name in "ABC":
            c.create_stream(name, f"{name}.>")
    r = scene.prepare({n: topic(source, target, n.upper()) for n in "abc"})
    r.start(*args, env=env)
    assert sorted(t["name"] for t in r.status()["topics"]) == ["a", "c"]


def test_unknown_topic_at_start(scene, source, target):
    r = scene.prepare({"t": topic(source, target)})
    done = plain("run", "--config", r.conf, "--topic", "nosuch")
    assert done.returncode in (2, 78) and "nosuch" in done.stderr


def test_pidfile_and_daemonize(scene, source, target):
    r = scene.prepare({"t": topic(source, target)})
    pidfile = os.path.join(r.dir, "pid")
    pid = 0
    try:
        # captured output: the daemon must let go of what the caller's terminal was
        done = plain("run", "--config", r.conf, "--pidfile", pidfile, "--daemonize")
        assert done.returncode == 0, done.stderr
        with open(pidfile) as f:
            pid = int(f.read())
        assert r.status()["pid"] == pid
        fill(source, 5)
        r.wait_committed(5)
        r.command("stop", check=True)
        wait_gone([pid])
        assert not os.path.exists(pidfile)
    finally:
        if not pid and os.path.exists(pidfile):
            with open(pidfile) as f:
                pid = int(f.read())
        if pid and alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_daemonize_reports_a_failure_to_the_caller(scene, source, target):
    r = scene.prepare({"t": {"stream": "S"}})
    done = plain("run", "--config", r.conf, "--daemonize")
    assert done.returncode == 78 and "source_url" in done.stderr


# ---- usage -------------------------------------------------------------------------------------------


def test_version():
    done = plain("--version")
    assert done.returncode == 0 and done.stdout.startswith("stream-replicator ")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb(verb):
    done = plain(verb, "--help")
    assert done.returncode == 0 and verb in done.stdout


def test_help():
    done = plain("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert verb in done.stdout


@pytest.mark.parametrize("args", [["nosuchverb"], ["--nosuchoption"], ["status", "--nosuch"],
                                  ["verify"], ["pause"], ["step-down"], ["status", "superfluous"]])
def test_wrong_use(args):
    done = plain(*args)
    assert done.returncode == 2 and done.stderr, done


@pytest.mark.parametrize("args", [["enroll", "x", "--dir", "/tmp"], ["convert", "x.yaml"]])
def test_verbs_of_later_versions_are_refused(args):
    done = plain(*args)
    assert done.returncode != 0 and "not supported in this version" in done.stderr, done


# ---- check --connect ---------------------------------------------------------------------------------


def test_check_connect_says_what_would_happen(scene, source, target):
    fill(source, 123)
    r = scene.prepare({"t": topic(source, target, target_stream="NEW_ONE")})
    done = r.command("check", "--connect", check=True)
    assert "NEW_ONE" in done.stdout and "123" in done.stdout
    with target.client() as t:
        assert not t.has_stream("NEW_ONE"), "check changes nothing"


def test_check_connect_finds_what_is_missing(scene, source, target):
    r = scene.prepare({"t": topic(source, target, stream="NOSUCH")})
    done = r.command("check", "--connect")
    assert done.returncode == 1 and "NOSUCH" in done.stdout + done.stderr
    r.topics["t"] = {**topic(source, target), "target_url": f"nats://127.0.0.1:{free_port()}"}
    r.write()
    done = r.command("check", "--connect")
    assert done.returncode == 1 and "target" in done.stdout + done.stderr


def test_check_connect_sees_missing_permissions(scene, source):
    users = '{ user: a, password: a, permissions: { publish: { deny: "s.>" } } }, { user: b, password: b }'
    target = scene.server(users=users, user="b", password="b")
    with target.client() as t:
        t.create_stream("S", "s.>")
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url,
                             "target_url": target.url_for(target.port, "a", "a")}})
    done = r.command("check", "--connect")
    assert done.returncode == 1 and "ermission" in done.stdout + done.stderr


# ---- control socket ----------------------------------------------------------------------------------


def connect(r):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(r.socket_path)
    return s


def test_socket_is_private(running):
    assert stat.S_IMODE(os.stat(running.socket_path).st_mode) == 0o600


def test_socket_answers_with_lines(running):
    with connect(running) as s:
        f = s.makefile("rw")
        for _ in range(3):
            f.write('{"verb":"status"}\n')
        f.flush()
        for _ in range(3):
            assert json.loads(f.readline())["ok"] is True
        f.write('{"verb":"pause","topic":"nosuch"}\n')
        f.flush()
        answer = json.loads(f.readline())
        assert answer["ok"] is False and "nosuch" in answer["error"]


HOSTILE = [
    b"\n", b"hello\n", b"{\n", b"[]\n", b'"verb"\n', b"{}\n", b'{"verb":7}\n', b'{"verb":"status"\0}\n',
    b"\xff\xfe\x00\n", b'{"verb":"pause","topic":{"a":1}}\n', b'{"verb":' + b"[" * 50_000 + b"\n",
    b'{"verb":"' + b"a" * 500_000 + b'"}\n', b"GET / HTTP/1.1\r\n\r\n", b'{"verb":"status","verb":"stop"}\n']


@pytest.mark.parametrize("bytes_", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_client_loses_its_connection_and_harms_nothing(running, bytes_):
    good = connect(running)
    with connect(running) as s:
        try:
            s.sendall(bytes_)
            data = b""
            while not data.endswith(b"\n"):
                more = s.recv(65536)
                if not more:
                    break
                data += more
            assert not data or json.loads(data)["ok"] is False, data[:100]
        except (ConnectionError, BrokenPipeError):
            pass
    good.sendall(b'{"verb":"status"}\n')
    assert json.loads(good.makefile().readline())["ok"] is True
    good.close()
    assert running.topic()["restarts"] == 0


def test_many_clients_and_silent_ones(running):
    crowd = []
    for _ in range(200):
        try:
            s = connect(running)
            s.sendall(b'{"verb":"sta')
            crowd.append(s)
        except OSError:
            break
    assert running.running()
    for s in crowd:
        s.close()
    wait_until(lambda: answers(running), 10, "it answers again")


def answers(r):
    try:
        return r.control("status")["ok"]
    except (OSError, ValueError):
        return False


def test_client_that_does_not_read(running):
    with connect(running) as s:
        s.setblocking(False)
        try:
            for _ in range(20_000):
                s.sendall(b'{"verb":"status"}\n')
        except (BlockingIOError, ConnectionError):
            pass
        began = time.monotonic()
        assert running.control("status")["ok"]
        assert time.monotonic() - began < 2
    assert running.running()
