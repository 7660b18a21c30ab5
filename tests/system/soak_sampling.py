"""A sampled topic under random faults, for soak.py: senders that speak, fall silent and come back, and an oracle
that decides by what the source stored and when.

Copies: each message once, in order, unchanged; a value that was copied is not copied again before its duration
less a tenth is over, unless it was forced or its size changed; once the duration is over, its next message is
copied. Both are exact, whatever broke meanwhile: outages do not count, as times are those of the source.

Advisories: each id once; none speaks of a silence that was none; what was silent for long enough while nothing
was broken was said to be. Silence is measured with a margin: what waits unread for two seconds, or on a
connection that is dead and not known to be so for three, has not been heard.
"""

import collections
import random
import time

import soak
from lib import audit, sampling, writer
from lib.advisories import Reader
from lib.proc import wait_until

DURATIONS_S = (8, 12)
WARN_S = 6
MARGIN_S = 4.0      # so much of a silence may not have been heard to end
NOTICED_S = 3.0     # so long after it was due a timeout may come
RECOVERY_S = 10.0   # after a fault, until all listens again
STORED_S = 2.0      # within that it is stored here that something was advised of
SIZE_TRIGGER = 100


def options(shared):
    out = {"inspect_field": "sender", "inspect_duration": f"{DURATIONS_S[0]}s", "warn_duration": f"{WARN_S}s",
           "inspect_force_field": "changed", "size_trigger": SIZE_TRIGGER,
           "advisory": {"subject": "adv.%s.%v", "cluster": "source", "reliable": True}}
    return {**out, "target_writers": "shared"} if shared else out


class Registrations(sampling.Senders):
    """Each sender speaks some times a second, but for those that are silent for a while, and others for good.
    What they say is decided by the seed; how fast, by the machine."""

    def __init__(self, connect, count, rate, seed):
        self.rng = random.Random(seed)
        self.silent = {}  # index: monotonic time at which it speaks again
        self.extra = {}   # index: bytes that it is longer by
        super().__init__(connect, count, rate=rate)

    def fall_silent(self, i):
        if i not in self.silent and self.rng.random() < 0.008:
            self.silent[i] = time.monotonic() + self.rng.choice([1, 3, 7, 12, 20, 30])
        if self.silent.get(i, 0) > time.monotonic():
            return True
        self.silent.pop(i, None)
        return False

    def message(self):
        while True:
            self.count += 1
            i = self.count % len(self.senders)
            if not self.fall_silent(i):
                break
        dice = self.rng.random()
        if dice < 0.002:
            return f"s.{self.senders[i]}", b"no sender %d" % self.count, b""
        if dice < 0.005:
            self.extra[i] = (self.extra.get(i, 0) + self.rng.choice([120, 300])) % 900
        size = 200 + self.extra.get(i, 0) + self.rng.randrange(20)
        fields = {"changed": True} if dice > 0.997 else {"changed": 1} if dice > 0.99 else {}
        return sampling.say(self.senders[i], self.count, size, **fields)


class Oracle(sampling.Rules):
    """durations: [(first sequence, seconds)], in_doubt: [(first, last)] sequences between which another one came
    into force; lost: the same, of times when nothing may be known of sizes."""

    def __init__(self, durations, in_doubt, lost):
        super().__init__(0, size_trigger=SIZE_TRIGGER, force="changed")
        self.durations, self.in_doubt, self.lost = durations, in_doubt, lost
        self.before = {}  # value: sequence of its last message

    def possible(self, seq):
        out = [s for first, s in self.durations if first <= seq][-1:]
        for (first, last), (_, old), (_, new) in zip(self.in_doubt, self.durations, self.durations[1:]):
            if first <= seq <= last:
                out += [old, new]
        return out

    def demand(self, m, age_ms, size):
        value, possible = self.value(m), [1000 * s for s in self.possible(m.seq)]
        before, self.before[value] = self.before.get(value, 0), m.seq
        if any(before <= last and m.seq >= first for first, last in self.lost):
            size_demand = None  # it is compared with what was copied last, or with nothing
        else:
            size_demand = size is not None and abs(len(m.data) - size) >= SIZE_TRIGGER
        if age_ms is None or age_ms >= max(possible) or b'"changed": true' in m.data or size_demand:
            return True
        return None if size_demand is None or age_ms >= 0.9 * min(possible) else False


class Silences:
    """What the source's stored times say of each value, against what was advised."""

    def __init__(self, said, advisories, faults, killed, lost, shortest_s):
        self.by_value = collections.defaultdict(list)
        for m in said:
            value = sampling.sender_of(m)
            if value:
                self.by_value[value].append(m.time_ns / 1e9)
        self.advisories = advisories
        self.faults = faults    # [(from, to)] wall clock
        self.killed = killed    # times: what was said in the second before may not be stored
        self.lost = lost        # the same: nothing may be known of before
        self.shortest_s = shortest_s
        self.end = time.time()
        self.wrong = []

    def gap(self, a):
        """The longest silence that it may speak of: it begins in that second; or later, if it was said by one who
        had lost what he knew, and knew of copies alone."""
        times = self.by_value[a.value]
        lost = any(a.seen <= end and a.stored_ms / 1000 >= begin for begin, end in self.lost)
        until = a.stored_ms / 1000 if lost else a.seen + 1
        return max((after - t for t, after in zip(times, times[1:] + [self.end]) if a.seen <= t < until), default=0.0)

    def clear_s(self, begin, end):
        """So much of it in which nothing was broken, nor just repaired; the longest stretch."""
        best, at = 0.0, begin
        for a, b in self.faults:
            if b + RECOVERY_S < at or a > end:
                continue
            best, at = max(best, a - at), max(at, b + RECOVERY_S)
        return max(best, end - at)

    def tell(self, a):
        """What was said and advised about then."""
        near = [f"{t:.3f}" for t in self.by_value[a.value] if abs(t - a.seen) < 15]
        said = [f"{o.event} of {o.seen} at {o.stored_ms / 1000:.3f}" for o in self.advisories
                if o.value == a.value and abs(o.seen - a.seen) < 30]
        return f"said {' '.join(near)}; advised {', '.join(said)}"

    def check_ids(self):
        for one, n in collections.Counter(a.id for a in self.advisories).items():
            if n > 1:
                self.wrong.append(("twice", one))

    def check_said(self):
        for a in self.advisories:
            if a.event in ("timeout", "expire"):
                need = (WARN_S if a.event == "timeout" else self.shortest_s) - MARGIN_S
                gap = self.gap(a)
                if gap < need:
                    self.wrong.append((a.event, a.value, f"seen {a.seen}, silent for {gap:.3f} s", self.tell(a)))
            elif not any(int(t) == a.seen for t in self.by_value[a.value]):
                self.wrong.append((a.event, a.value, f"nothing was said at {a.seen}"))

    def check_once_a_silence(self):
        said = collections.Counter((a.event, a.value, a.seen) for a in self.advisories)
        self.wrong += [("again", *key, n) for key, n in said.items() if n > 1]

    def check_missing(self):
        said = {(a.event, a.value, a.seen) for a in self.advisories}
        for value, times in self.by_value.items():
            for t, after in zip(times, times[1:] + [self.end]):
                if after - t > WARN_S and self.clear_s(t, after) > WARN_S + NOTICED_S and \
                        not said & {("timeout", value, int(t) + d) for d in (-1, 0, 1)}:
                    self.wrong.append(("missing", value, f"silent from {t:.3f} to {after:.3f}"))

    def check_order(self):
        """recover only behind a timeout, new only of who is not known."""
        last = {}
        follows = {None: {"new"}, "new": {"timeout", "expire"}, "timeout": {"recover", "expire"},
                   "recover": {"timeout", "expire"}, "expire": {"new"}}
        rank = {"new": 0, "recover": 0, "timeout": 1, "expire": 2}
        for a in sorted(self.advisories, key=lambda a: (a.seen, rank[a.event], a.seq)):
            event, before = a.event, last.get(a.value, (None, 0))
            forgot = any(before[1] <= end and a.stored_ms / 1000 >= begin for begin, end in self.lost)
            forgot = forgot or any(0 <= t - before[1] < STORED_S for t in self.killed)
            if event not in follows[before[0]] and not forgot:
                self.wrong.append(("order", a.value, f"{event} of {a.seen} behind {before[0]}", self.tell(a)))
            last[a.value] = (event, a.stored_ms / 1000)

    def run(self):
        self.check_ids()
        self.check_said()
        self.check_once_a_silence()
        self.check_missing()
        self.check_order()
        return self.wrong


class Verdict:
    def __init__(self, report, wrong, advised, copied, said):
        self.report, self.wrong, self.advised = report, wrong, advised
        self.copied, self.said = copied, said

    @property
    def ok(self):
        return self.report.ok and not self.wrong and not self.advised

    def __str__(self):
        out = [str(self.report), f"  {self.copied} of {self.said} messages copied"]
        for name, rows in (("sampled wrongly", self.wrong), ("advised wrongly", self.advised)):
            out.append(f"  {name}: {len(rows)}" + "".join(f"\n    {row}" for row in rows[:12]))
        return "\n".join(out)


class Sampling:
    """What both kinds of soak have in common; self.nodes_: what writes configurations, self.source, .target."""

    TABLE = {"reload_same": 1, "reload_duration": 1, "lose_state": 1}
    WORK_S, REST_S = 20, 22

    def topic_options(self, args):
        return options(args.shared)

    def make_writer(self, args):
        self.faults_at, self.killed_at = [], []
        self.lost_at, self.lost_seqs, self.in_doubt = [], [], []
        self.durations = [(0, DURATIONS_S[0])]
        self.adv = Reader(self.source, duplicate_window=3600 * 10**9)
        self.shared = args.shared
        self.foreign = writer.Writer(self.target.client, "s.foreign", rate=20) if args.shared else None
        return Registrations(self.source.client, args.senders, args.rate, args.seed)

    def last(self):
        def ask():
            try:
                with self.source.client() as c:
                    return c.last_seq("S")
            except (OSError, TimeoutError):
                return None
        return wait_until(ask, 30, "the source answers")

    def reload_same(self):
        for node in self.nodes_():
            assert node.control("reload")["ok"]

    def reload_duration(self):
        """In force from some message on, on some node after the other."""
        new = DURATIONS_S[0] if self.durations[-1][1] == DURATIONS_S[1] else DURATIONS_S[1]
        first = self.last()
        for node in self.nodes_():
            node.topics["t"]["inspect_duration"] = f"{new}s"
            node.write()
            node.control("reload")
        time.sleep(1)
        self.wait_copying()
        last = self.last() + 1000
        self.in_doubt.append((first - 5000, last))
        self.durations.append((last, new))

    def forget(self):
        """Around the loss of a state: what may be known is less."""
        self.lost_at.append([time.time() - 1, 0])
        self.lost_seqs.append([max(0, self.last() - 5000), 0])

    def remembered(self):
        self.wait_copying()
        self.lost_at[-1][1] = time.time() + 5
        self.lost_seqs[-1][1] = self.last() + 1000

    def do(self, name):
        began = time.time()
        if name.startswith("kill"):
            self.killed_at.append(began)
        try:
            getattr(self, name)()
        except soak.HARMLESS as e:
            print(f"{'':9}  {name}: {e}", flush=True)
        finally:
            self.faults_at.append((began, time.time()))

    def run(self, minutes):
        """Some faults, then a while in which silence is heard."""
        table = {**self.table(), **self.TABLE}
        names, weights = list(table), list(table.values())
        began = time.monotonic()
        end, rest = began + minutes * 60, began + self.WORK_S
        while time.monotonic() < end:
            name = self.rng.choices(names, weights)[0]
            pause = self.rng.uniform(0.2, 4)
            self.counts[name] = self.counts.get(name, 0) + 1
            print(f"{time.monotonic() - began:7.1f} s  {name}", flush=True)
            self.do(name)
            time.sleep(pause)
            if time.monotonic() > rest:
                self.mend()
                time.sleep(self.REST_S)
                rest = time.monotonic() + self.WORK_S

    def close(self):
        if self.foreign:
            self.foreign.stop()
        super().close()

    def settle_sampling(self):
        """Nobody speaks any more, and all that is known is forgotten."""
        if self.foreign:
            self.foreign.stop()
        self.wait_copying()
        with self.source.client() as s:
            last = s.last_seq("S")
        self.wait_settled(last)
        wait_until(lambda: self.leading()["sampling"]["tracked"] == 0, 60, "all values expire", every=0.5)
        wait_until(lambda: self.leading()["sampling"]["advisories"]["waiting"] == 0, 30, "all is delivered")

    def left(self):
        """Advisories that a node keeps which does not lead: it says them when it leads again."""
        return [row for n in self.nodes_() for row in n.database("SELECT body FROM advisory_outbox")]

    def audit(self):
        for row in self.left():
            print("kept:", *row)
        wanted = audit.Audit("S", shared=self.shared, foreign_ok=self.shared)
        with self.source.client() as s, self.target.client() as t:
            said, copies = s.read_stream("S", timeout=300), t.read_stream("S", timeout=300)
        copied = {o.seq for o in (audit.origin_of(m.headers) for m in copies) if wanted.is_ours(o)}
        wanted.wanted = lambda m: m.seq in copied
        report = wanted.run(said, copies)
        oracle = Oracle(self.durations, self.in_doubt, self.lost_seqs)
        silences = Silences(said, self.adv.all(), self.faults_at, self.killed_at, self.lost_at,
                            min(DURATIONS_S))
        return Verdict(report, oracle.wrong(said, copied), silences.run(), len(copied), len(said))


class SamplingSoak(Sampling, soak.Soak):
    """Two servers and one supervisor."""

    def nodes_(self):
        return [self.repl]

    def leading(self):
        return self.repl.topic()

    def wait_copying(self):
        self.repl.wait_state("copying", 60)

    def wait_settled(self, last):
        self.repl.wait_committed(last, timeout=120)

    def lose_state(self):
        self.forget()
        super().lose_state()
        self.remembered()

    def mend(self):
        for link in self.world.links:
            link.rtt(0)

    def settle(self):
        super().settle()
        self.settle_sampling()


class SampledElectionSoak(Sampling, soak.ElectionSoak):
    """Three nodes for one sampled topic; each has a link to each server."""

    def nodes_(self):
        return [n for n in self.team if n.answers()]

    def leading(self):
        return self.team.wait_leader(timeout=30).topic()

    def wait_copying(self):
        self.team.wait_leader(timeout=60)

    def wait_settled(self, last):
        wait_until(lambda: (self.leading()["committed_seq"] or 0) >= last, 120, f"all up to {last} is settled")

    def lose_state(self):
        node = self.pick()
        self.forget()
        node.stop()
        soak.empty(node.state_dir)
        node.start()
        self.remembered()

    def mend(self):
        for link in self.links:
            link.rtt(0)

    def settle(self):
        self.mend()
        self.writer.stop()
        self.team.settled(timeout=90)
        self.settle_sampling()


def make(args):
    return (SampledElectionSoak if args.election else SamplingSoak)(args)
