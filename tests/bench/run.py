#!/usr/bin/env python3
"""Benchmarks: what the copy costs and how fast it is, as ratios within one run on one machine.

    run.py [--only speed,far,…] [--repeat 3] [--json FILE] [--ttl 2] [--rounds 20]

The yardstick is the server's own `source` of a stream, over a leaf node connection between the same two
servers. A run to completion counts the start of the process. Everything shares two cores.
"""

import argparse
import collections
import json
import os
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]

from elections import Elections  # noqa: E402
from lib import proxy, replicator, server, writer  # noqa: E402
from lib.proc import memory_mb, wait_until  # noqa: E402
from lib.replicator import topic  # noqa: E402
from sampling import Sampling  # noqa: E402

Row = collections.namedtuple("Row", "name what value unit must aim at_most detail")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """User and system time of living processes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def fill(client, stream, count, size, subjects=100):
    """count messages of `size` bytes; so that a run is not one long burst of one subject."""
    body = os.urandom(size // 2).hex().encode()[:size].ljust(size, b"x")
    client.publish_many(((f"{stream}.{n % subjects}", body) for n in range(count)), every=200, window=4000,
                        timeout=60)


class Bench(Elections, Sampling):
    def __init__(self, args):
        self.repeat = args.repeat
        self.ttl, self.rounds_count = args.ttl, args.rounds
        self.fill = fill
        self.rows = []
        self.near = {}  # messages a second of runs, by what they copied

    def row(self, name, what, value, unit, must, aim, detail="", at_most=False):
        r = Row(name, what, value, unit, must, aim, at_most, detail)
        self.rows.append(r)
        print(format_row(r), flush=True)

    # ---- runs --------------------------------------------------------------------------------------

    def leaf_source(self, hub, leaf, stream, count):
        """Seconds the server itself needs: a stream with a source in the hub's domain."""
        with leaf.client() as c:
            began = time.monotonic()
            c.create_stream("SOURCED", sources=[{"name": stream, "external": {
                "api": "$JS.hub.API", "deliver": ""}}])
            wait_until(lambda: c.state("SOURCED")["messages"] >= count, 600, "the server's own source", 0.02)
            took = time.monotonic() - began
            c.delete_stream("SOURCED")
        return took

    def copy(self, source, target, stream, count, look=None, **options):
        """Seconds of a copy from the start of the supervisor on, and what look(replicator) says then."""
        r = replicator.Replicator({"t": topic(source, target, stream, target_stream="COPY", **options)},
                                  loglevel="info")
        seen = None
        try:
            with target.client() as c:
                began = time.monotonic()
                r.start(ready=False)
                wait_until(lambda: has(c, "COPY", count), 600, f"the copy {r.log()}", 0.02)
                took = time.monotonic() - began
                if look:
                    r.wait_answering()
                    r.wait_committed(count)
                    seen = look(r)
                r.stop()
                c.delete_stream("COPY")
            with source.client() as c:
                for one in c.consumers(stream):
                    c.delete_consumer(stream, one["name"])
        finally:
            r.close()
        return took, seen

    def pair(self):
        hub = server.Server(domain="hub", leaf=True).start()
        leaf = server.Server(domain="leaf", hub=hub).start()
        return hub, leaf

    def compare(self, name, what, count, size, must, aim, subjects=100, **options):
        """Our copy beside the server's own source, in turns; the median of each."""
        # Ours runs between two servers of its own: across the leaf node link the copies' subjects would
        # travel back to the hub, which has to refuse each of them.
        hub, leaf = self.pair()
        source, target = server.Server().start(), server.Server().start()
        try:
            for one in (hub, source):
                with one.client() as c:
                    c.create_stream("B", "B.>")
                    fill(c, "B", count, size, subjects)
            theirs, ours, cpu = [], [], []
            for _ in range(self.repeat):
                theirs.append(self.leaf_source(hub, leaf, "B", count))
                took, spent = self.copy(source, target, "B", count, self.cost, **options)
                ours.append(took)
                cpu.append(spent / count * 1e6)
            a, b = statistics.median(theirs), statistics.median(ours)
            self.near[size] = count / b
            self.row(name, what, a / b, "of leaf source", must, aim,
                     f"{count / b:,.0f}/s against {count / a:,.0f}/s")
            return statistics.median(cpu)
        finally:
            for one in (leaf, hub, source, target):
                one.close()

    @staticmethod
    def cost(r):
        return cpu_seconds([r.child.pid] + [t["pid"] for t in r.status()["topics"]])

    # ---- what is measured --------------------------------------------------------------------------

    def speed(self):
        cpu = self.compare("speed", "200,000 x 256 B", 200_000, 256, 0.80, 1.0)
        self.row("cpu", "worker and supervisor, 256 B", cpu, "us a message", 5, 2.5, at_most=True)
        self.compare("speed-1k", "100,000 x 1 KiB", 100_000, 1024, 0.80, 1.0)
        self.compare("speed-16k", "10,000 x 16 KiB", 10_000, 16 * 1024, 0.80, 1.0)

    def far(self, count=3_000_000):
        """A long run near, then with 100 ms there and back on either side."""
        a, b = server.Server().start(), server.Server().start()
        try:
            with a.client() as c:
                c.create_stream("B", "B.>")
                fill(c, "B", count, 256)
            near, _ = self.copy(a, b, "B", count)
            for side, one in (("source", a), ("target", b)):
                link = proxy.Link(one.port, rtt_ms=100)
                took, peak = self.copy(a, b, "B", count, lambda r: memory_mb(r.worker_pid(), "VmHWM"),
                                       **{f"{side}_port": link.port})
                link.close()
                self.row(f"far-{side}", f"100 ms to the {side}, {count:,} x 256 B", near / took, "of near", 0.8,
                         0.95, f"{count / took:,.0f}/s against {count / near:,.0f}/s")
                if side == "target":
                    self.row("rss-window", "worker, peak of the far run", peak, "MB", 64, 40, at_most=True)
        finally:
            a.close()
            b.close()

    def latency(self, count=200):
        """From publish to the target's subscribers, one message at a time."""
        a, b = server.Server().start(), server.Server().start()
        r = None
        try:
            with a.client() as c, b.client() as t:
                c.create_stream("B", "B.>")
                r = replicator.Replicator({"t": topic(a, b, "B")}, loglevel="info").start()
                r.wait_state("copying")
                sub = t.subscribe("B.>")
                t.flush()
                times = []
                for n in range(count + 10):
                    began = time.monotonic()
                    c.publish("B.1", b"%d" % n)
                    t.next(sub, 5)
                    times.append((time.monotonic() - began) * 1000)
                    time.sleep(0.005)  # quiet: nothing else is under way
                times = sorted(times[10:])
                self.row("latency", "one message through a quiet topic", statistics.median(times), "ms", 3, 1,
                         f"99 %: {times[int(len(times) * 0.99)]:.2f} ms", at_most=True)
                self.row("rss-idle", "worker with nothing to do", memory_mb(r.worker_pid(), "VmRSS"), "MB", 20,
                         12, at_most=True)
        finally:
            if r:
                r.close()
            a.close()
            b.close()

    def cluster(self, count=300_000):
        a, b = server.Server().start(), server.Cluster().start()
        try:
            with a.client() as c, b.client() as t:
                c.create_stream("B", "B.>")
                fill(c, "B", count, 256)
                rates = []
                for _ in range(self.repeat):
                    t.create_stream("COPY", "B.>", replicas=3)
                    b.wait_healthy("COPY")
                    took, _ = self.copy(a, b, "B", count)
                    rates.append(count / took)
            self.row("r3", f"R3 target, {count:,} x 256 B", statistics.median(rates), "/s", 30_000, 50_000)
        finally:
            b.close()
            a.close()

    def shared(self):
        self.compare("shared", "shared target, 1,000 subjects, 256 B", 100_000, 256, 0.25, 0.35, subjects=1000,
                     target_writers="shared")

    def kill(self):
        """From kill -9 of the worker to the first copy of its successor."""
        a, b = server.Server().start(), server.Server().start()
        w = r = None
        times = []
        try:
            with a.client() as c, b.client() as t:
                c.create_stream("B", "B.>")
                w = writer.Writer(a.client, "B", rate=1000)
                r = replicator.Replicator({"t": topic(a, b, "B")}, loglevel="info").start()
                r.wait_committed(1000)
                for _ in range(3):
                    # work long enough for the restart to count as the first one
                    r.wait_topic(lambda s: s["state"] == "copying" and s["uptime_s"] > 31, 60)
                    pid = r.worker_pid()
                    sub = t.subscribe("B.>")
                    t.flush()
                    os.kill(pid, signal.SIGKILL)
                    killed = time.monotonic()
                    while time.monotonic() < killed + 0.02:  # what was on its way
                        t.fill(0.005)
                        t.parse()
                    sub.queue.clear()
                    t.next(sub, 20)
                    times.append(time.monotonic() - killed)
                    t.unsubscribe(sub)
            self.row("kill", "first copy after kill -9 of the worker", statistics.median(times), "s", 1, 0.5,
                     f"worst {max(times):.2f} s", at_most=True)
        finally:
            if w:
                w.stop()
            if r:
                r.close()
            a.close()
            b.close()

    def many(self, total=2_000_000):
        """CPU a message of 50 topics and of one, from resume to the end: starting is not counted."""
        costs = {n: self.cost_of_topics(n, total // n) for n in (1, 50)}
        self.row("many", "50 topics in one supervisor, cost a message", costs[50] / costs[1], "x one topic",
                 1.3, 1.1, f"{costs[50]:.2f} us against {costs[1]:.2f} us", at_most=True)

    def cost_of_topics(self, topics, each):
        a, b = server.Server().start(), server.Server().start()
        r = None
        try:
            with a.client() as c:
                for n in range(topics):
                    c.create_stream(f"B{n}", f"B{n}.>")
                r = replicator.Replicator({f"t{n}": topic(a, b, f"B{n}") for n in range(topics)},
                                          loglevel="info").start()
                for n in range(topics):
                    r.wait_state("copying", name=f"t{n}")
                    r.control("pause", topic=f"t{n}")
                for n in range(topics):
                    r.wait_state("paused", name=f"t{n}")
                    fill(c, f"B{n}", each, 256)
            before = self.cost(r)
            for n in range(topics):
                r.control("resume", topic=f"t{n}")
            with b.client() as t:
                for n in range(topics):
                    wait_until(lambda: has(t, f"B{n}", each), 600, f"topic {n}", 0.2)
            return (self.cost(r) - before) / (topics * each) * 1e6
        finally:
            if r:
                r.close()
            a.close()
            b.close()


PARTS = ("speed", "latency", "shared", "cluster", "far", "many", "kill", "failover", "bucket",
         "election-cost", "partitions64", "sampling")


def has(client, stream, count):
    return client.has_stream(stream) and client.state(stream)["messages"] >= count


def verdict(r):
    better = (lambda a, b: a <= b) if r.at_most else (lambda a, b: a >= b)
    return "aim" if better(r.value, r.aim) else "must" if better(r.value, r.must) else "MISSED"


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def format_row(r):
    return (f"{r.name:<14} {r.what:<46} {number(r.value):>8} {r.unit:<15} must {number(r.must):>7}  "
            f"aim {number(r.aim):>7}  {verdict(r):<6}  {r.detail}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default=",".join(PARTS), help="parts, by comma: " + ", ".join(PARTS))
    p.add_argument("--repeat", type=int, default=3, help="runs of which the median counts")
    p.add_argument("--ttl", type=float, default=2.0, help="seconds, of the election bucket")
    p.add_argument("--rounds", type=int, default=20, help="fail-overs of each kind")
    p.add_argument("--json", metavar="FILE", help="writes the figures there")
    args = p.parse_args()
    parts = args.only.split(",")
    for part in parts:
        if part not in PARTS:
            p.error(f"no part {part!r}")
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    print(f"nats-server {'.'.join(map(str, server.version()))}, cores {cores}, load {os.getloadavg()[0]:.1f}", flush=True)
    bench = Bench(args)
    for part in parts:
        getattr(bench, part.replace("-", "_"))()
    if args.json:
        with open(args.json, "w") as f:
            json.dump([{**r._asdict(), "verdict": verdict(r)} for r in bench.rows], f, indent=1)
            f.write("\n")
    return 0 if all(verdict(r) != "MISSED" for r in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
