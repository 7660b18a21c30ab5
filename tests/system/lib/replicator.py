"""The programs under test: configuration, start, what they say, and their end."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time

from . import proc

STATES = ("starting", "connecting", "copying", "standby", "paused", "holding", "halted", "waiting")


def build_dir():
    return os.path.abspath(os.environ.get("SR_BUILDDIR", "."))


def program():
    for name in ("stream-replicator", "supervisor/stream-replicator"):
        path = os.path.join(build_dir(), name)
        if os.path.isfile(path):
            return path
    raise RuntimeError(f"no stream-replicator in {build_dir()}: build it, or set SR_BUILDDIR")


def environment():
    """For every run: the worker of the same build tree, and times that do not depend on the machine."""
    env = dict(os.environ, TZ="UTC")
    for name in ("worker/worker", "worker"):
        path = os.path.join(build_dir(), name)
        if os.path.isfile(path):
            env["STREAM_REPLICATOR_WORKER"] = path
    for name in ("TOPICS", "NOTIFY_SOCKET"):
        env.pop(name, None)
    return env


# ---- configuration ---------------------------------------------------------------------------------


def conf_value(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(conf_value(v) for v in value) + "}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def conf_lines(options, indent=""):
    out = []
    for key, value in options.items():
        if isinstance(value, dict):
            out += [f"{indent}{key} {{", *conf_lines(value, indent + "    "), f"{indent}}}"]
        else:
            out.append(f"{indent}{key} = {conf_value(value)}")
    return out


def conf_text(top, topics):
    out = conf_lines(top)
    for name, options in topics.items():
        out += [f"topic {name} {{", *conf_lines(options, "    "), "}"]
    return "\n".join(out) + "\n"


class Replicator:
    """A supervisor with its configuration, state and log in a directory of its own.

    topics: {name: {key: value}}; other keywords are top-level options. `write()` writes what stands in
    .top and .topics, so a test changes those and reloads.
    """

    def __init__(self, topics, name="HERE", **top):
        self.dir = proc.temp_dir()
        self.conf = os.path.join(self.dir, "sr.conf")
        self.state_dir = os.path.join(self.dir, "state")
        os.mkdir(self.state_dir)
        self.log_path = os.path.join(self.dir, "log")
        self.out_path = os.path.join(self.dir, "out")
        self.socket_path = os.path.join(self.state_dir, "control.sock")
        self.top = {"name": name, "state_dir": self.state_dir, "logfile": self.log_path,
                    "loglevel": "debug", **top}
        self.topics = topics
        self.child = None
        self.write()

    def write(self, text=None):
        with open(self.conf, "w") as f:
            f.write(conf_text(self.top, self.topics) if text is None else text)

    # ---- life --------------------------------------------------------------------------------------

    def start(self, *args, ready=True, preexec=None, env=None):
        with open(self.out_path, "ab") as out:
            self.child = proc.spawn([program(), "run", "--config", self.conf, *args], stdout=out,
                                    stderr=out, stdin=subprocess.DEVNULL, preexec=preexec,
                                    env={**environment(), **(env or {})})
        if ready:
            self.wait_answering()
        return self

    def wait_answering(self, timeout=10.0):
        def ask():
            if self.child.poll() is not None:
                raise AssertionError(f"supervisor ended with {self.child.returncode}\n{self.log()}")
            try:
                return self.control("status")
            except (OSError, ValueError):
                return None
        proc.wait_until(ask, timeout, "the control socket answers", every=0.02)

    def running(self):
        return self.child is not None and self.child.poll() is None

    def stop(self, timeout=20.0):
        """TERM; returns the exit code."""
        return proc.reap(self.child, signal.SIGTERM, timeout)

    def kill(self):
        proc.reap(self.child, signal.SIGKILL)

    def signal(self, sig):
        self.child.send_signal(sig)

    def close(self):
        """However the test left it: the supervisor first, then workers that outlived it."""
        pids = []
        if self.running():
            try:
                pids = [t["pid"] for t in self.status()["topics"] if t.get("pid")]
            except (OSError, ValueError, KeyError, AssertionError):
                pass
            self.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        proc.remove_dir(self.dir)

    # ---- control socket ----------------------------------------------------------------------------

    def control(self, verb, timeout=5.0, **fields):
        """One request over the socket; the answer's JSON."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.socket_path)
            s.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
            line = b""
            while not line.endswith(b"\n"):
                data = s.recv(1 << 16)
                if not data:
                    raise ConnectionError(f"control socket closed after {line[:80]!r}")
                line += data
        return json.loads(line)

    def status(self):
        """What `status --json` prints, without the start of a process."""
        answer = self.control("status")
        assert "topics" in answer, answer
        return answer

    def topic(self, name="t"):
        """The status entry of a topic; an empty one if it is not there."""
        for entry in self.status()["topics"]:
            if entry["name"] == name:
                return entry
        return {}

    def worker_pid(self, name="t"):
        return proc.wait_until(lambda: self.topic(name).get("pid"), 10, f"a worker of {name}")

    def wait_entry(self, look, check, timeout, what):
        """Until check(look()) is true of an entry of the status; returns the entry."""
        seen = {}

        def ask():
            seen.clear()
            try:
                seen.update(look())
            except (OSError, ValueError):
                return False
            return seen and check(seen)
        try:
            proc.wait_until(ask, timeout)
        except AssertionError:
            raise AssertionError(f"{what} within {timeout} s: {seen}") from None
        return dict(seen)

    def wait_topic(self, check, timeout=30.0, name="t", what=""):
        """Until check(status entry) is true; returns the entry."""
        return self.wait_entry(lambda: self.topic(name), check, timeout, f"topic {name} not {what or 'as wanted'}")

    def wait_state(self, state, timeout=30.0, name="t"):
        assert state in STATES
        return self.wait_topic(lambda t: t["state"] == state, timeout, name, state)

    def wait_committed(self, seq, timeout=60.0, name="t"):
        return self.wait_topic(lambda t: (t["committed_seq"] or 0) >= seq, timeout, name, f"at {seq}")

    def wait_worker_died(self, pid, timeout=20.0, name="t"):
        """Another process than pid works for the topic."""
        return self.wait_topic(lambda t: t.get("pid") and t["pid"] != pid, timeout, name, f"replaced ({pid})")

    # ---- commands, state, log ----------------------------------------------------------------------

    def command(self, *args, timeout=60, check=False, **kw):
        """A user's command with this configuration; CompletedProcess with text."""
        done = subprocess.run([program(), *args, "--config", self.conf], capture_output=True, text=True,
                              timeout=timeout, env=environment(), **kw)
        if check:
            assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def database(self, query, *args):
        """Rows of state.db, read while the daemon runs; none while it has no such table yet."""
        path = os.path.join(self.state_dir, "state.db")
        if not os.path.exists(path):
            return []
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return db.execute(query, args).fetchall()
        except sqlite3.OperationalError as e:
            if "no such table" in str(e):
                return []
            raise
        finally:
            db.close()

    def incidents(self, name="t"):
        """[(kind, detail)] of a topic, oldest first."""
        return self.database("SELECT kind, detail FROM incident WHERE topic = ? ORDER BY id", name)

    def wait_incident(self, word="", timeout=20.0, name="t"):
        """An incident of which kind or detail has the word."""
        def ask():
            return [i for i in self.incidents(name) if word.lower() in " ".join(map(str, i)).lower()]
        return proc.wait_until(ask, timeout, f"an incident with {word!r}; have {self.incidents(name)}")

    def log(self, lines=80):
        out = []
        for path in (self.out_path, self.log_path):
            try:
                with open(path, errors="replace") as f:
                    out += f.readlines()[-lines:]
            except OSError:
                pass
        return "".join(out)

    def wait_log(self, text, timeout=20.0):
        proc.wait_until(lambda: text in self.log(100000), timeout, f"{text!r} in the log")


def topic(source, target, stream="S", source_port=None, target_port=None, **options):
    """Options of a topic from server to server, through links where ports are given."""
    return {"stream": stream,
            "source_url": source.url_for(source_port) if source_port else source.url,
            "target_url": target.url_for(target_port) if target_port else target.url,
            **{k: v for k, v in (("source_tls", _tls(source)), ("target_tls", _tls(target))) if v},
            **options}


def _tls(server):
    certs = getattr(server, "tls", None)
    return certs.section() if certs else None


def wait_gone(pids, timeout=10.0):
    proc.wait_until(lambda: not any(proc.alive(p) for p in pids), timeout, f"processes {pids} are gone")


def now():
    return time.monotonic()
