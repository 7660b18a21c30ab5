"""Benchmarks of elections: how long nobody works when a leader goes, and what elections cost at rest.

A gap is the largest distance between the stored times of consecutive copies at the target under a steady
load, so it holds all of it: the key's end, the campaign, the new leader's proof of its position. The load comes
in portions of 40 ms, below which no gap can be seen.
"""

import random
import statistics
import time

from lib import bucket, nodes, replicator, server, writer
from lib.proc import memory_mb, wait_until
from lib.replicator import topic

DEFAULT_TTL_S = 10


class Pair:
    """Two servers, two nodes; the bucket is at the source."""

    def __init__(self, ttl_s, topics, rate=500, subjects=20, prepare=None):
        self.source, self.target = server.Server().start(), server.Server().start()
        with self.source.client() as c, self.target.client() as t:
            c.create_stream("B", "B.>")
            if prepare:
                prepare(c, t)
        self.team = nodes.Team([nodes.Node(topics(self.source, self.target), loglevel="info",
                                           election={"ttl": f"{int(ttl_s * 1000)}ms"}) for _ in range(2)])
        self.writer = writer.Writer(self.source.client, "B", rate=rate, subjects=subjects) if rate else None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.writer:
            self.writer.stop()
        for thing in (*self.team, self.source, self.target):
            thing.close()


def elected(source, target):
    return {"t": topic(source, target, "B", leader_election_name="WORK")}


class Elections:
    """Parts of the benchmark; mixed into the class that has row() and the options."""

    # ---- fail-over ---------------------------------------------------------------------------------

    def failover(self):
        ttl = self.ttl
        for what, end, must, aim in (("kill -9 of the leader's processes", "kill_all", ttl + 1.5, ttl + 1.0),
                                     ("TERM to the leader", "stop", 0.3, 0.2)):
            with Pair(ttl, elected) as p:
                gaps = self.rounds(p, end)
            self.row(f"failover-{'crash' if end == 'kill_all' else 'stop'}",
                     f"gap, {what}, TTL {ttl:g} s", max(gaps), "s, maximum", must, aim,
                     f"median {statistics.median(gaps):.3f} s of {len(gaps)}, smallest {min(gaps):.3f} s",
                     at_most=True)

    def rounds(self, p, end):
        gaps = []
        p.team.start()
        with p.target.client() as t:
            for _ in range(self.rounds_count):
                leader, _ = p.team.settled(timeout=60)
                # at any moment between two renewals
                time.sleep(0.5 + random.random() * self.ttl / 2)
                before = t.last_seq("B")
                getattr(leader, end)()
                p.team.wait_leader(but=leader, timeout=60)
                wait_until(lambda: t.last_seq("B") > before, 60)
                seen = t.last_seq("B")
                wait_until(lambda: t.last_seq("B") > seen + 100, 60, "copies after it")
                gaps.append(nodes.largest_gap(t.read_stream("B", start=before)))
                leader.start()
        return gaps

    # ---- at rest -----------------------------------------------------------------------------------

    def bucket(self, names=4, seconds=20):
        """What renewals store while nothing happens, with the TTL that is the default."""
        def topics(source, target):
            return {f"t{n}": topic(source, target, "B", target_stream=f"B{n}", target_subject_prefix=f"p{n}",
                                   leader_election_name=f"WORK{n}") for n in range(names)}
        with Pair(DEFAULT_TTL_S, topics, rate=0) as p, p.source.client() as c:
            p.team.start()
            for n in range(names):
                p.team.wait_leader(f"t{n}", timeout=60)
            wait_until(lambda: sorted(map(len, p.team.led_by([f"t{n}" for n in range(names)]).values())) ==
                       [names // 2, names - names // 2], 60, "a balance")
            b = bucket.Bucket(c)
            before = b.last_revision()
            time.sleep(seconds)
            rate = (b.last_revision() - before) / seconds / names
        self.row("bucket", f"messages stored at rest, TTL {DEFAULT_TTL_S} s", rate, "/s a name", 1, 0.5,
                 f"{names} names on two nodes", at_most=True)

    def election_cost(self, count=300_000):
        """The copy's own speed, from its first stored copy to its last, in turns."""
        source, target = server.Server().start(), server.Server().start()
        rates = {False: [], True: []}
        try:
            with source.client() as c:
                c.create_stream("B", "B.>")
                self.fill(c, "B", count, 256)
            for _ in range(self.repeat):
                for with_election in rates:
                    options = {"leader_election_name": "WORK"} if with_election else {}
                    rates[with_election].append(self.own_speed(source, target, count, options))
        finally:
            source.close()
            target.close()
        plain, cost = (statistics.median(rates[k]) for k in (False, True))
        self.row("election-cost", f"elected topic, {count:,} x 256 B", cost / plain, "of not elected", 0.93, 0.97,
                 f"{cost:,.0f}/s against {plain:,.0f}/s")

    def own_speed(self, source, target, count, options):
        r = replicator.Replicator({"t": topic(source, target, "B", target_stream="COPY", **options)},
                                  loglevel="info")
        try:
            with target.client() as t, source.client() as c:
                r.start()
                wait_until(lambda: t.has_stream("COPY") and t.state("COPY")["messages"] >= count, 600, "the copy")
                took = t.get_message("COPY", count).time_ns - t.get_message("COPY", 1).time_ns
                r.stop()
                t.delete_stream("COPY")
                for one in c.consumers("B"):
                    c.delete_consumer("B", one["name"])
            return count / took * 1e9
        finally:
            r.close()

    # ---- many --------------------------------------------------------------------------------------

    def partitions64(self, count=64):
        names = [f"t_P{n}" for n in range(count)]

        def topics(source, target):
            return {"t": topic(source, target, "B", partitions=count, filter_subject="B.{{partition}}",
                               target_stream="P{{partition}}", leader_election_name="WORK_{{partition}}")}

        def prepare(_, t):
            for n in range(count):
                t.create_stream(f"P{n}", f"B.{n}")

        with Pair(self.ttl, topics, rate=10 * count, subjects=count, prepare=prepare) as p:
            led = lambda: sorted(map(len, p.team.led_by(names).values()))  # noqa: E731
            began = time.monotonic()
            p.team.start()
            wait_until(lambda: sum(led()) == count, 120, "all are led", 0.2)
            started = time.monotonic() - began
            wait_until(lambda: led() == [count // 2] * 2, 120, "balance", 0.2)
            balanced = time.monotonic() - began
            self.row("64-start", f"{count} partitions on two nodes, all led", started, "s", 20, 10, at_most=True)
            self.row("64-balance", "half of them on each", balanced, "s from start", 20, 15, at_most=True)
            pids = [t["pid"] for n in p.team for t in n.status()["topics"]]
            wait_until(lambda: self.all_copying(p.team, names), 60, "all are copied")
            sizes = [memory_mb(pid, "VmRSS") for pid in pids]
            self.row("64-rss", "worker, the largest", max(sizes), "MB", 20, 12,
                     f"median {statistics.median(sizes):.1f} MB of {len(sizes)}", at_most=True)
            for end, must in (("kill_all", self.ttl + 1.5), ("stop", 0.3)):
                wait_until(lambda: self.all_copying(p.team, names), 60, "all are copied")
                time.sleep(2)  # the gap of the last one that moved is another matter
                self.fail_over_64(p, names, end, must)
                began = time.monotonic()
                wait_until(lambda: led() == [count // 2] * 2, 180, "the share back", 0.2)
                print(f"{'':11} half of them back after {time.monotonic() - began:.1f} s", flush=True)

    @staticmethod
    def all_copying(team, names):
        states = [t["state"] for n in team for t in n.status()["topics"]]
        return states.count("copying") == len(names)

    def fail_over_64(self, p, names, end, must):
        with p.target.client() as t:
            moved = [n for n, name in enumerate(names) if name in p.team.led_by(names)[0]]
            before = {n: t.last_seq(f"P{n}") for n in moved}
            getattr(p.team[0], end)()
            wait_until(lambda: len(p.team.led_by(names)[1]) == len(names), 120, "all at the other", 0.2)
            wait_until(lambda: all(t.last_seq(f"P{n}") > b + 10 for n, b in before.items()), 60, "copies")
            gaps = [nodes.largest_gap(t.read_stream(f"P{n}", start=max(b, 1))) for n, b in before.items()]
        p.team[0].start()
        self.row(f"64-{'crash' if end == 'kill_all' else 'stop'}", f"gap of a partition that moves, TTL {self.ttl:g} s",
                 max(gaps), "s, maximum", must, must,
                 f"median {statistics.median(gaps):.3f} s of {len(gaps)}; 10 messages/s each", at_most=True)
