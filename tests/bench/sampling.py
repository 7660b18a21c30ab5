"""Benchmarks of sampling with a million senders: what judging costs where everything is copied, what it saves
where next to nothing is, memory, a restart, and how state.db is written.
"""

import os
import re
import shutil
import statistics
import subprocess
import time

from lib import replicator, server
from lib.commits import Commits
from lib.proc import memory_mb, wait_until
from lib.replicator import topic

MILLION = 1_000_000
HEAD = (b'{"protocol":"io.choria.registration.v1","host":{"os":"linux","release":"12.4","cpus":8,"load":[0.42,0.38]},'
        b'"agents":["choria_util","package","puppet","rpcutil","scout","service"],"classes":[')
TAIL = b'"roles::web"],"status":"ok","sender":"node%07d.example.net","ttl":3600}'
FILL = b'"profile::monitoring::agent",' * 40


def registration(n, size=1024):
    """1 KiB of JSON, with the sender near its end."""
    tail = TAIL % n
    return b"".join((HEAD, FILL[:(size - len(HEAD) - len(tail)) // 29 * 29], tail)).ljust(size)


class Sampling:
    """Part of the benchmark; mixed into the class that has row(), copy() and the options."""

    def sampling(self, count=MILLION):
        self.skip_path()
        a, b = server.Server().start(), server.Server().start()
        try:
            with a.client() as c:
                c.create_stream("B", "B.>")
                c.publish_many(((f"B.{n % 100}", registration(n)) for n in range(count)), every=200, window=4000,
                               timeout=60)
            self.all_copied(a, b, count)
            self.million(a, b, count)
        finally:
            a.close()
            b.close()

    def all_copied(self, a, b, count):
        """A million new senders: each is judged, and each is copied."""
        plain, sampled, peak = [], [], []
        for _ in range(self.repeat):
            plain.append(self.copy(a, b, "B", count)[0])
            took, most = self.copy(a, b, "B", count, lambda r: memory_mb(r.worker_pid(), "VmHWM"),
                                   inspect_field="sender", inspect_duration="1h")
            sampled.append(took)
            peak.append(most)
        x, y = statistics.median(plain), statistics.median(sampled)
        self.row("sampled", f"{count:,} senders, all copied, 1 KiB", x / y, "of unsampled", 0.8, 0.95,
                 f"{count / y:,.0f}/s against {count / x:,.0f}/s")
        self.row("rss-sampled", "worker with these, peak", max(peak), "MB", 200, 150, at_most=True)

    def million(self, a, b, count):
        """What follows once they are known: transactions, a restart, and a wave of which all is skipped."""
        r = replicator.Replicator({"t": topic(a, b, "B", target_stream="COPY", inspect_field="sender",
                                              inspect_duration="1h")}, loglevel="info")
        try:
            with a.client() as c, b.client() as t:
                r.start()
                commits = Commits(os.path.join(r.state_dir, "state.db"))
                r.wait_committed(count, 600)
                self.row("transactions", "in state.db while they are copied", commits.rate(), "a second", 1.1, 1,
                         at_most=True)
                r.stop(60)
                c.publish("B.new", registration(count + 1))
                c.flush()
                began = time.monotonic()
                r.start(ready=False)
                wait_until(lambda: t.last_seq("COPY") > count, 60, "a copy", 0.01)
                self.row("restart-1m", "first copy after a restart with them", time.monotonic() - began, "s",
                         3, 1.5, at_most=True)
                self.skipped(c, t, r, count)
        finally:
            r.close()

    def skipped(self, c, t, r, count):
        """They all speak once more while nobody listens."""
        r.wait_committed(count + 1)
        r.stop(60)
        last = c.publish_many(((f"B.{n % 100}", registration(n)) for n in range(count)), every=200, window=4000,
                              timeout=60)
        began = time.monotonic()
        r.start()
        r.wait_committed(last, 600)
        took = time.monotonic() - began
        extra = t.last_seq("COPY") - count - 1
        self.row("skipped", f"{count:,} messages, all skipped, 1 KiB", count / took, "/s", 50_000, 100_000,
                 f"from the start of the process; {extra} of them copied")

    def skip_path(self):
        """Inspecting and judging alone."""
        name = os.path.join(replicator.build_dir(), "tests", "bench", "bench_skip")
        if not os.path.exists(name):
            make = shutil.which("make")
            subprocess.run([make, "-s", "tests/bench/bench_skip"], cwd=replicator.build_dir(), check=True)
        out = subprocess.run([name], capture_output=True, text=True, check=True).stdout
        rate = re.search(r"judge, all skipped +\d+ ns each, +(\d+)", out)
        self.row("skip-path", "inspect and judge, all skipped, 1 KiB JSON", int(rate.group(1)), "/s a core", 500_000,
                 1_000_000)
