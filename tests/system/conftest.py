"""Fixtures: servers, links and replicators that are gone when their test is, with their logs in the
report of a test that failed."""

import copy
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import audit, bucket as bucket_, certs as certs_, gopeer, nodes, proxy, replicator  # noqa: E402
from lib import server as server_, writer as writer_  # noqa: E402
from lib.proc import wait_until  # noqa: E402

TEST_SECONDS = int(os.environ.get("SR_TEST_SECONDS", "150"))


class Scene:
    """What a test has started."""

    def __init__(self):
        self.things = []

    def add(self, thing):
        self.things.append(thing)
        return thing

    def end(self):
        for thing in reversed(self.things):
            getattr(thing, "stop" if isinstance(thing, writer_.Writer) else "close")()
        self.things = []

    # ---- servers and links -------------------------------------------------------------------------

    def server(self, **kw):
        return self.add(server_.Server(**kw)).start()

    def cluster(self, **kw):
        return self.add(server_.Cluster(**kw)).start()

    def link(self, server, **kw):
        """A link to a server, or to a port."""
        return self.add(proxy.Link(getattr(server, "port", server), **kw))

    def client(self, server, **kw):
        return self.add(server.client(**kw))

    def writer(self, server, prefix="s", **kw):
        return self.add(writer_.Writer(server.client, prefix, **kw))

    # ---- replicators -------------------------------------------------------------------------------

    def prepare(self, topics, **top):
        """A replicator that is not started yet."""
        return self.add(replicator.Replicator(topics, **top))

    def replicate(self, source, target, top=None, **options):
        """Topic "t" from server to server, started."""
        return self.prepare({"t": replicator.topic(source, target, **options)}, **(top or {})).start()

    # ---- elections ---------------------------------------------------------------------------------

    def node(self, topics, **top):
        """One of several with the same configuration, not started."""
        return self.add(nodes.Node(copy.deepcopy(topics), **copy.deepcopy(top)))

    def team(self, count, topics, **top):
        return nodes.Team([self.node(topics, **top) for _ in range(count)])

    def pair(self, source, target, ttl="2s", election=None, count=2, **options):
        """Nodes for topic "t" in election "WORK", with its bucket at the source; not started."""
        options = {"leader_election_name": "WORK", **options}
        return self.team(count, {"t": replicator.topic(source, target, **options)},
                         election={"ttl": ttl, **(election or {})})

    def bucket(self, server, name=bucket_.BUCKET):
        return bucket_.Bucket(self.client(server), name)

    def go_peer(self, source, target, ttl_s, **kw):
        return self.add(gopeer.GoPeer(source, target, ttl_s, **kw))

    def logs(self):
        for thing in self.things:
            for one in getattr(thing, "servers", [thing]):
                if hasattr(one, "log"):
                    kind = "replicator" if isinstance(one, replicator.Replicator) else "nats-server"
                    yield f"{kind} {one.dir}", one.log()


@pytest.fixture
def scene(request):
    s = Scene()
    request.node.scene = s
    yield s
    s.end()


@pytest.fixture
def source(scene):
    """A server with an empty stream S on s.>"""
    s = scene.server()
    with s.client() as c:
        c.create_stream("S", "s.>")
    return s


@pytest.fixture
def target(scene):
    return scene.server()


@pytest.fixture(scope="session")
def certs():
    c = certs_.Certs()
    yield c
    c.close()


@pytest.fixture
def check_copy():
    """check_copy(source, target, …): audit of stream S against S (or target_stream)."""

    def run(source, target, stream="S", target_stream=None, **rules):
        with source.client() as s, target.client() as t:
            return audit.check(s, stream, t, target_stream or stream, **rules)
    return run


@pytest.fixture
def finish():
    """finish(writer, source, target, …): all that was written is at the target, once and in order. Returns
    the copies as they are stored there."""

    def run(writer, source, target, stream="S", target_stream=None, timeout=40.0, **rules):
        target_stream = target_stream or stream
        writer.stop()
        with source.client() as s, target.client() as t:
            wanted = audit.Audit(stream, **rules)
            have = [m for m in s.read_stream(stream) if wanted.expects(m)]
            try:
                wait_until(lambda: t.state(target_stream)["messages"] >= len(have), timeout, every=0.1)
            except AssertionError:
                pass  # the audit says which are lost
            copies = t.read_stream(target_stream)
            wanted.check(have, copies)
            return copies
    return run


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    s = getattr(item, "scene", None)
    if report.when in ("setup", "call") and report.failed and s:
        for title, text in s.logs():
            report.sections.append((title, text))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """No test hangs for ever."""

    def late(*_):
        raise TimeoutError(f"the test took longer than {TEST_SECONDS} s")

    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def pytest_report_header():
    return f"nats-server {'.'.join(map(str, server_.version()))}, programs of {replicator.build_dir()}"
