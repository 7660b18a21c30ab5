"""Real nats-server processes: single ones, leaf nodes, clusters, and what can happen to them."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request

from . import proc
from .nats import ApiError, Client, NoResponders


def program():
    name = os.environ.get("NATS_SERVER") or shutil.which("nats-server") or "/usr/sbin/nats-server"
    if not os.path.exists(name) and not shutil.which(name):
        raise RuntimeError(f"no nats-server at {name}: install it or set NATS_SERVER")
    return name


_version = None


def version():
    """(major, minor, patch) of the server under test."""
    global _version
    if _version is None:
        out = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
        text = (out.stdout + out.stderr).split("v")[-1].strip()
        _version = tuple(int(n) for n in text.split("-")[0].split(".")[:3])
    return _version


class Server:
    """One server. What is given at first is kept over restarts, ports and store too.

    users     text of authorization's `users = [ … ]` entries; user and password are for client()
    tls       lib.certs.Certs; tls_verify asks clients for certificates
    operator  lib.nkeys.Operator
    leaf      listens for leaf nodes; hub: Server whose leaf this one is
    extra     more lines of configuration; js_extra: of its section jetstream
    jetstream False: a server of a cluster that keeps nothing itself
    """

    def __init__(self, name=None, domain=None, tls=None, tls_verify=False, users=None, user=None,
                 password=None, token=None, max_payload=None, leaf=False, hub=None, cluster=None,
                 lame_duck_s=None, operator=None, js_extra="", extra="", jetstream=True):
        self.dir = proc.temp_dir("sr-nats-")
        self.port = proc.free_port()
        self.http = proc.free_port()
        self.name = name or f"n{self.port}"
        self.domain = domain
        self.tls, self.tls_verify = tls, tls_verify
        self.users, self.user, self.password, self.token = users, user, password, token
        self.max_payload = max_payload
        self.leaf_port = proc.free_port() if leaf else None
        self.hub = hub
        self.cluster = cluster
        self.lame_duck_s = lame_duck_s
        self.nkey_user = operator.user() if operator else None
        self.operator = operator
        self.js_extra, self.extra, self.jetstream = js_extra, extra, jetstream
        self.child = None
        self.store = os.path.join(self.dir, "js")
        self.log_path = os.path.join(self.dir, "log")

    def config(self):
        js = f'store_dir: "{self.store}", max_mem_store: 1GB, max_file_store: 20GB'
        if self.domain:
            js += f', domain: "{self.domain}"'
        if self.js_extra:
            js += f", {self.js_extra}"
        out = [f'server_name: "{self.name}"', f"listen: 127.0.0.1:{self.port}",
               f"http: 127.0.0.1:{self.http}", f"jetstream {{ {js} }}" if self.jetstream else "",
               "# a lame duck's clients are told at once",
               f'lame_duck_grace_period: "100ms"\nlame_duck_duration: "{self.lame_duck_s or 30}s"']
        if self.tls:
            out.append(f'tls {{ cert_file: "{self.tls.server_cert}", key_file: "{self.tls.server_key}", '
                       f'ca_file: "{self.tls.ca}", verify: {str(self.tls_verify).lower()}, timeout: 5 }}')
        if self.operator:
            out.append(self.operator.config)
        if self.users:
            out.append(f"authorization {{ users = [ {self.users} ] }}")
        elif self.token:
            out.append(f'authorization {{ token: "{self.token}" }}')
        if self.max_payload:
            out.append(f"max_payload: {self.max_payload}")
        if self.leaf_port:
            out.append(f"leafnodes {{ listen: 127.0.0.1:{self.leaf_port} }}")
        if self.hub:
            out.append("leafnodes { reconnect: 1, remotes = [ { url: "
                       f'"nats://127.0.0.1:{self.hub.leaf_port}" }} ] }}')
        if self.cluster:
            routes = ", ".join(f'"nats://127.0.0.1:{p}"' for p in self.cluster["ports"])
            out.append(f'cluster {{ name: "{self.cluster["name"]}", '
                       f'listen: 127.0.0.1:{self.cluster["own"]}, routes: [ {routes} ] }}')
        return "\n".join(out + [self.extra, ""])

    # ---- life --------------------------------------------------------------------------------------

    def launch(self):
        path = os.path.join(self.dir, "conf")
        with open(path, "w") as f:
            f.write(self.config())
        with open(self.log_path, "ab") as log:
            self.child = proc.spawn([program(), "-c", path], stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL, cwd=self.dir)

    def start(self):
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self, timeout=20.0):
        deadline = time.monotonic() + timeout
        while True:
            if self.child.poll() is not None:
                raise RuntimeError(f"nats-server ended with {self.child.returncode}:\n{self.log()}")
            try:
                with self.client(timeout=2.0) as c:
                    if self.cluster is None:
                        c.api("INFO", timeout=2.0)
                    return
            except (OSError, ApiError, NoResponders, TimeoutError) as e:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"nats-server is not ready: {e}\n{self.log()}") from e
                time.sleep(0.03)

    def running(self):
        return self.child is not None and self.child.poll() is None

    def stop(self):
        """An orderly end."""
        if self.child:
            proc.reap(self.child, signal.SIGTERM)

    def kill(self):
        if self.child:
            proc.reap(self.child, signal.SIGKILL)

    def restart(self, kill=False):
        self.kill() if kill else self.stop()
        self.start()

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def lame_duck(self):
        self.child.send_signal(signal.SIGUSR2)

    def reload(self):
        """Takes over what changed in this object's fields; done on return."""
        before = self.reloads()
        with open(os.path.join(self.dir, "conf"), "w") as f:
            f.write(self.config())
        self.child.send_signal(signal.SIGHUP)
        proc.wait_until(lambda: self.reloads() > before, 10, "the server has reloaded")

    def reloads(self):
        with open(self.log_path, errors="replace") as f:
            return f.read().count("Reloaded")

    def close(self):
        self.kill()
        proc.remove_dir(self.dir)

    # ---- use ---------------------------------------------------------------------------------------

    @property
    def scheme(self):
        return "tls" if self.tls else "nats"

    @property
    def url(self):
        return self.url_for(self.port)

    def url_for(self, port, user=None, password=None):
        """The URL for a replicator; port may be a link's."""
        user, password = user or self.user, password or self.password
        who = f"{user}:{password}@" if user else ""
        query = f"?token={self.token}" if self.token else ""
        return f"{self.scheme}://{who}127.0.0.1:{port}{query}"

    def client(self, **kw):
        args = {"user": self.user, "password": self.password, "token": self.token,
                "nkey_user": self.nkey_user}
        if self.tls:
            args["tls"] = self.tls.context()
        return Client(self.port, **{**args, **kw})

    def monitor(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{path}", timeout=3) as answer:
            return json.load(answer)

    def log(self, lines=20):
        """The end of the log, without what every start says."""
        try:
            with open(self.log_path, errors="replace") as f:
                said = [line for line in f if "[INF]" not in line or "JetStream" in line or "ready" in line]
            return "".join(said[-lines:])
        except OSError:
            return ""


class Cluster:
    """Servers with one another's routes; streams with as many replicas stand on all of them."""

    def __init__(self, size=3, name="C"):
        ports = [proc.free_port() for _ in range(size)]
        self.servers = [
            Server(name=f"{name}{i + 1}", cluster={"name": name, "own": ports[i], "ports": ports})
            for i in range(size)]

    def join(self, **kw):
        """One more server, which the others hear of by itself; started."""
        ports = [s.cluster["own"] for s in self.servers]
        name = self.servers[0].cluster["name"]
        one = Server(name=f"{name}{len(self.servers) + 1}",
                     cluster={"name": name, "own": proc.free_port(), "ports": ports}, **kw)
        self.servers.append(one)
        return one.start()

    def start(self):
        for s in self.servers:
            s.launch()
        for s in self.servers:
            s.wait_ready()
        proc.wait_until(self.meta_leader, 30, "a meta leader that sees all servers")
        return self

    def meta_leader(self):
        """The name of the leader, once it sees every running server; else None."""
        for s in self.running():
            try:
                meta = s.monitor("jsz").get("meta_cluster", {})
            except OSError:
                continue
            peers = meta.get("replicas") or []
            if meta.get("leader") == s.name:
                current = 1 + sum(1 for p in peers if p.get("current") and not p.get("offline"))
                return s.name if current >= sum(x.jetstream for x in self.running()) else None
        return None

    def running(self):
        return [s for s in self.servers if s.running()]

    @property
    def url(self):
        return ",".join(s.url for s in self.servers)

    def client(self, **kw):
        return self.running()[0].client(**kw)

    def by_name(self, name):
        return next(s for s in self.servers if s.name == name)

    def leader(self, stream, timeout=20.0):
        """The server that leads a stream."""
        with self.client() as c:
            def ask():
                try:
                    return c.api(f"STREAM.INFO.{stream}", timeout=2.0)["cluster"].get("leader")
                except (ApiError, TimeoutError, NoResponders):
                    return None
            return self.by_name(proc.wait_until(ask, timeout, f"a leader of {stream}"))

    def wait_healthy(self, stream, timeout=30.0):
        """All replicas of the stream are current."""
        with self.client() as c:
            def ask():
                try:
                    info = c.api(f"STREAM.INFO.{stream}", timeout=2.0)["cluster"]
                except (ApiError, TimeoutError, NoResponders):
                    return None
                peers = info.get("replicas") or []
                return info.get("leader") and all(p.get("current") and not p.get("offline") for p in peers)
            proc.wait_until(ask, timeout, f"current replicas of {stream}")

    def close(self):
        for s in self.servers:
            s.close()
