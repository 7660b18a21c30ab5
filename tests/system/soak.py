#!/usr/bin/env python3
"""Random faults for a given number of minutes, while somebody keeps publishing; an audit at the end.

    soak.py --minutes 5 [--seed 17] [--mode single|cluster|election|sampling] [--shared] [--election]

All choices come from the seed, which is printed: the same seed makes the same faults in the same order
(their moments differ by what the machine does). Exit code 0 only if nothing was lost, doubled, reordered
or changed.
"""

import argparse
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import audit, nodes, proxy, replicator, server, writer  # noqa: E402
from lib.bucket import Bucket  # noqa: E402
from lib.nats import ApiError, NoResponders  # noqa: E402
from lib.proc import wait_until  # noqa: E402

# what a fault may cause to whoever causes it
HARMLESS = (ApiError, NoResponders, TimeoutError, ConnectionError)


def empty(directory):
    for name in os.listdir(directory):
        os.unlink(os.path.join(directory, name))


class Single:
    """Two servers, a link to each."""

    def __init__(self):
        self.ends = [server.Server().start(), server.Server().start()]
        with self.ends[0].client() as c:
            c.create_stream("S", "s.>")
        self.links = [proxy.Link(s.port) for s in self.ends]
        self.urls = [f"nats://127.0.0.1:{link.port}" for link in self.links]

    def faults(self):
        return {"cut": 3, "silence": 2, "delay": 2, "slow": 1, "restart": 2, "kill_server": 2, "freeze": 2}

    def pick(self, rng):
        return rng.choice(self.ends)

    def healthy(self):
        pass


class Clusters:
    """Two clusters with replicated streams, a link to each server of the target."""

    def __init__(self):
        self.ends = [server.Cluster(name="E").start(), server.Cluster(name="W").start()]
        for cluster in self.ends:
            with cluster.client() as c:
                c.create_stream("S", "s.>", replicas=3)
            cluster.wait_healthy("S")
        self.links = []
        self.urls = [c.url for c in self.ends]

    def faults(self):
        return {"step_down": 4, "restart": 2, "kill_server": 3, "freeze": 2}

    def pick(self, rng):
        return rng.choice(rng.choice(self.ends).servers)

    def healthy(self):
        """A majority is needed again before the next fault."""
        for cluster in self.ends:
            cluster.wait_healthy("S", 90)


class Soak:
    def __init__(self, args):
        self.rng = random.Random(args.seed)
        self.world = Clusters() if args.mode == "cluster" else Single()
        self.source, self.target = self.world.ends
        self.shared = args.shared
        options = {"stream": "S", "source_url": self.world.urls[0], "target_url": self.world.urls[1]}
        options.update(self.topic_options(args))
        self.repl = replicator.Replicator({"t": options}, loglevel="info")
        self.repl.start()
        self.writer = self.make_writer(args)
        self.counts = {}

    def topic_options(self, args):
        return {"target_writers": "shared"} if args.shared else {}

    def make_writer(self, args):
        return writer.Writer(self.source.client, "s", rate=args.rate, subjects=50)

    def close(self):
        self.writer.stop()
        self.repl.close()
        for thing in self.world.links + self.world.ends:
            thing.close()

    # ---- faults ------------------------------------------------------------------------------------

    def kill_worker(self):
        os.kill(self.repl.worker_pid(), signal.SIGKILL)

    def freeze_worker(self):
        """For less or for more than the supervisor's patience."""
        pid = self.repl.worker_pid()
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.rng.choice([0.5, 2, 10]))
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def kill_supervisor(self):
        self.repl.kill()
        self.repl.start()

    def stop_supervisor(self):
        code = self.repl.stop()
        assert code == 0, f"the supervisor ended with {code}"
        self.repl.start()

    def lose_state(self):
        self.repl.stop()
        empty(self.repl.state_dir)
        self.repl.start()

    def pause(self):
        self.repl.control("pause", topic="t")
        time.sleep(self.rng.uniform(0, 1))
        self.repl.control("resume", topic="t")

    def delete_consumer(self):
        try:
            with self.source.client() as c:
                for one in c.consumers("S"):
                    c.delete_consumer("S", one["name"])
        except (ApiError, TimeoutError, OSError):
            pass

    def cut(self):
        self.rng.choice(self.world.links).cut()

    def silence(self):
        link = self.rng.choice(self.world.links)
        way, now = self.rng.choice(["up", "down", "both"]), self.rng.random() < 0.5
        (link.freeze_now if now else link.freeze)(way)
        time.sleep(self.rng.choice([0.3, 3, 12]))
        link.thaw()

    def delay(self):
        self.rng.choice(self.world.links).rtt(self.rng.choice([0, 5, 50, 150]))

    def slow(self):
        link = self.rng.choice(self.world.links)
        link.rate(self.rng.choice([50_000, 300_000]))
        time.sleep(self.rng.uniform(1, 4))
        link.rate(0)

    def restart(self):
        self.world.pick(self.rng).restart()
        self.world.healthy()

    def kill_server(self):
        one = self.world.pick(self.rng)
        one.kill()
        time.sleep(self.rng.choice([0, 0.5, 3]))
        one.start()
        self.world.healthy()

    def freeze(self):
        one = self.world.pick(self.rng)
        one.freeze()
        time.sleep(self.rng.choice([0.5, 3, 11]))
        one.thaw()
        self.world.healthy()

    def step_down(self):
        try:
            with self.rng.choice(self.world.ends).client() as c:
                c.step_down("S")
        except (ApiError, NoResponders, TimeoutError, OSError):
            pass

    # ---- run ---------------------------------------------------------------------------------------

    def table(self):
        return {"kill_worker": 3, "freeze_worker": 1, "kill_supervisor": 2, "stop_supervisor": 1,
                "lose_state": 1, "pause": 1, "delete_consumer": 1, **self.world.faults()}

    def run(self, minutes):
        table = self.table()
        names, weights = list(table), list(table.values())
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            name = self.rng.choices(names, weights)[0]
            pause = self.rng.uniform(0.2, 4)
            self.counts[name] = self.counts.get(name, 0) + 1
            print(f"{minutes * 60 - (end - time.monotonic()):7.1f} s  {name}", flush=True)
            getattr(self, name)()
            time.sleep(pause)

    def settle(self):
        """No more faults, no more messages: everything must arrive."""
        for link in self.world.links:
            link.rtt(0)
        self.writer.stop()
        self.world.healthy()
        with self.source.client() as c:
            last = c.last_seq("S")
        self.repl.wait_committed(last, timeout=180)
        wait_until(lambda: self.repl.topic()["lag_msgs"] == 0, 30, "no lag")
        self.world.healthy()

    def incidents(self):
        return self.repl.incidents()

    def log(self, lines):
        return self.repl.log(lines)

    def audit(self):
        with self.source.client() as s, self.target.client() as t:
            have, copies = s.read_stream("S", timeout=300), t.read_stream("S", timeout=300)
        return audit.Audit("S", shared=self.shared).run(have, copies)


class ElectionSoak:
    """Three nodes for one topic; each reaches source, target and bucket through links of its own."""

    TTL_S = 2

    def __init__(self, args):
        self.rng = random.Random(args.seed)
        self.ends = [server.Server().start() for _ in range(3)]
        self.source, self.target, self.keeper = self.ends
        with self.source.client() as c:
            c.create_stream("S", "s.>")
        self.links = []
        self.team = nodes.Team([self.node(args) for _ in range(3)]).start()
        self.writer = self.make_writer(args)
        self.counts = {}

    def topic_options(self, args):
        return {}

    def make_writer(self, args):
        return writer.Writer(self.source.client, "s", rate=args.rate, subjects=50)

    def node(self, args):
        links = [proxy.Link(s.port) for s in self.ends]
        self.links += links
        source, target, keeper = (f"nats://127.0.0.1:{link.port}" for link in links)
        return nodes.Node({"t": {"stream": "S", "source_url": source, "target_url": target,
                                 "leader_election_name": "WORK", **self.topic_options(args)}},
                          loglevel="info",
                          election={"url": keeper, "ttl": f"{self.TTL_S}s"})

    def close(self):
        self.writer.stop()
        for thing in [*self.team, *self.links, *self.ends]:
            thing.close()

    # ---- faults ------------------------------------------------------------------------------------

    def pick(self):
        """Mostly one that leads: the others' faults are seldom seen."""
        leaders = self.team.leaders()
        return leaders[0] if leaders and self.rng.random() < 0.7 else self.rng.choice(self.team.nodes)

    def kill_node(self):
        node = self.pick()
        node.kill_all()
        time.sleep(self.rng.choice([0, 0.5, 4]))
        node.start()

    def stop_node(self):
        node = self.pick()
        assert node.stop() == 0, "a stop that is not orderly"
        time.sleep(self.rng.choice([0, 1]))
        node.start()

    def kill_part(self):
        one = self.rng.choice(self.pick().processes()[1:] or [None])
        if one:
            nodes.send([one.pid], signal.SIGKILL)

    def freeze_node(self):
        self.freeze_roles()

    def freeze_part(self):
        self.freeze_roles(self.rng.choice([nodes.WORKER, nodes.ELECTOR, nodes.SUPERVISOR]))

    def freeze_roles(self, *roles):
        node = self.pick()
        if any(not roles or p.role in roles for p in node.processes()):
            node.freeze(*roles)
            time.sleep(self.rng.choice([0.5, self.TTL_S, 5, 10]))
            node.thaw()

    def step_down(self):
        node = self.pick()
        node.control("step-down", name="WORK")

    def delete_key(self):
        with self.keeper.client() as c:
            Bucket(c).delete("WORK")

    def overwrite_key(self):
        with self.keeper.client() as c:
            Bucket(c).write("WORK", b"somebody")

    def delete_bucket(self):
        with self.keeper.client() as c:
            if Bucket(c).exists():
                Bucket(c).delete_bucket()

    def cut(self):
        link = self.rng.choice(self.links)
        link.refuse()
        link.cut()
        time.sleep(self.rng.choice([0, 1, 6]))
        link.refuse(False)

    def silence(self):
        link = self.rng.choice(self.links)
        way, now = self.rng.choice(["up", "down", "both"]), self.rng.random() < 0.5
        (link.freeze_now if now else link.freeze)(way)
        time.sleep(self.rng.choice([0.3, 3, 12]))
        link.thaw()

    def delay(self):
        self.rng.choice(self.links).rtt(self.rng.choice([0, 5, 50, 150]))

    def restart_server(self):
        self.rng.choice(self.ends).restart(kill=self.rng.random() < 0.5)

    def freeze_server(self):
        one = self.rng.choice(self.ends)
        one.freeze()
        time.sleep(self.rng.choice([0.5, 3, 11]))
        one.thaw()

    # ---- run ---------------------------------------------------------------------------------------

    def table(self):
        return {"kill_node": 4, "stop_node": 3, "kill_part": 4, "freeze_node": 4, "freeze_part": 4,
                "step_down": 3, "delete_key": 2, "overwrite_key": 1, "delete_bucket": 1, "cut": 4,
                "silence": 3, "delay": 2, "restart_server": 2, "freeze_server": 1}

    def run(self, minutes):
        table = self.table()
        names, weights = list(table), list(table.values())
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            name = self.rng.choices(names, weights)[0]
            pause = self.rng.uniform(0.2, 5)
            self.counts[name] = self.counts.get(name, 0) + 1
            print(f"{minutes * 60 - (end - time.monotonic()):7.1f} s  {name}", flush=True)
            try:
                getattr(self, name)()
            except HARMLESS as e:
                print(f"{'':9}  {name}: {e}", flush=True)
            time.sleep(pause)

    def settle(self):
        for link in self.links:
            link.rtt(0)
        self.writer.stop()
        with self.source.client() as s, self.target.client() as t:
            last = s.last_seq("S")
            self.team.settled(timeout=90)
            wait_until(lambda: t.last_seq("S") >= last, 120, f"{last} copies")

    def audit(self):
        with self.source.client() as s, self.target.client() as t:
            return audit.Audit("S").run(s.read_stream("S", timeout=300), t.read_stream("S", timeout=300))

    def incidents(self):
        return [row for n in self.team for row in n.database("SELECT topic, kind, detail FROM incident")]

    def log(self, lines):
        return "\n".join(f"---- node {i}\n{n.log(lines)}" for i, n in enumerate(self.team))


def make(args):
    if args.mode == "sampling":
        import soak_sampling
        return soak_sampling.make(args)
    return (ElectionSoak if args.mode == "election" else Soak)(args)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=5)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--mode", choices=["single", "cluster", "election", "sampling"], default="single")
    p.add_argument("--shared", action="store_true", help="target_writers = shared")
    p.add_argument("--election", action="store_true", help="sampling: three nodes for the topic")
    p.add_argument("--senders", type=int, default=150, help="sampling: how many there are")
    p.add_argument("--rate", type=int, default=None, help="messages a second that are published")
    args = p.parse_args()
    if args.seed is None:
        args.seed = random.randrange(10**6)
    if args.rate is None:
        args.rate = 450 if args.mode == "sampling" else 800
    print(f"soak: --minutes {args.minutes} --seed {args.seed} --mode {args.mode}"
          f"{' --shared' if args.shared else ''}{' --election' if args.election else ''} --rate {args.rate}",
          flush=True)
    soak = make(args)
    try:
        soak.run(args.minutes)
        soak.settle()
        report = soak.audit()
        print("faults:", ", ".join(f"{k} {v}" for k, v in sorted(soak.counts.items())))
        print("published", soak.writer.count, "audit:", report)
        for row in soak.incidents():
            print("incident:", *row)
        if report.ok:
            return 0
        print(soak.log(300))
        return 1
    except BaseException:
        print(soak.log(300))
        raise
    finally:
        soak.close()
        print(f"seed {args.seed}")


if __name__ == "__main__":
    sys.exit(main())
