"""Several replicators with one configuration: the nodes of an election, and what can happen to them."""

import collections
import os
import signal

from . import proc, replicator

Process = collections.namedtuple("Process", "pid role name")
SUPERVISOR, WORKER, ELECTOR, HEARTBEAT = "supervisor", "replicate", "elect", "heartbeat"


def children(pid):
    """Processes of which it is the parent: [(pid, arguments)]."""
    out = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) != pid:
                    continue
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                out.append((int(entry), [a.decode() for a in f.read().split(b"\0")[:-1]]))
        except (OSError, IndexError):
            continue  # gone meanwhile
    return out


def send(pids, sig):
    for pid in pids:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass


class Node(replicator.Replicator):
    """One machine's part: its supervisor and all that this one started."""

    def __init__(self, topics, **top):
        super().__init__(topics, **top)
        self.frozen = set()

    def processes(self):
        """The supervisor first; then workers, electors and heartbeats by role."""
        out = [Process(self.child.pid, SUPERVISOR, "")]
        for pid, args in children(self.child.pid):
            if len(args) >= 3:
                out.append(Process(pid, args[3] if len(args) > 3 else WORKER, args[2]))
        return out

    def pid_of(self, role, name=None, timeout=10.0):
        def look():
            return next((p.pid for p in self.processes() if p.role == role and name in (None, p.name)), None)
        return proc.wait_until(look, timeout, f"a process of role {role} {name or ''}")

    def kill_all(self):
        """As the power cut does it: the supervisor and all its children at once."""
        send([p.pid for p in self.processes()], signal.SIGKILL)
        proc.reap(self.child, signal.SIGKILL)
        self.frozen.clear()

    def freeze(self, *roles):
        """All processes, or those of these roles. They stay frozen until thaw()."""
        pids = [p.pid for p in self.processes() if not roles or p.role in roles]
        assert pids, (roles, self.processes())
        self.frozen.update(pids)
        send(pids, signal.SIGSTOP)
        return pids

    def thaw(self):
        """Workers wake first: nobody has told them yet what happened meanwhile."""
        rank = {p.pid: p.role != WORKER for p in self.processes()}
        send(sorted(self.frozen, key=lambda pid: rank.get(pid, False)), signal.SIGCONT)
        self.frozen.clear()

    def close(self):
        if self.running():
            self.frozen.update(p.pid for p in self.processes())
        send(self.frozen, signal.SIGKILL)
        super().close()

    # ---- what it says ------------------------------------------------------------------------------

    def answers(self):
        return self.running() and self.child.pid not in self.frozen

    def role(self, name="t"):
        """leader, standby, none; "" if it does not answer."""
        if not self.answers():
            return ""
        try:
            return self.topic(name).get("role", "")
        except (OSError, ValueError):
            return ""

    def election(self, name):
        """The status entry of an election; an empty one if there is none."""
        for entry in self.status()["elections"]:
            if entry["name"] == name:
                return entry
        return {}

    def wait_election(self, name, check, timeout=20.0, what=""):
        return self.wait_entry(lambda: self.election(name), check, timeout,
                               f"election {name} not {what or 'as wanted'}")

    def wait_standby(self, name="t", timeout=20.0):
        return self.wait_topic(lambda t: t["role"] == "standby" and t["state"] == "standby", timeout, name,
                               "standing by")


class Team:
    """Nodes that stand for the same elections."""

    def __init__(self, nodes):
        self.nodes = nodes

    def __getitem__(self, n):
        return self.nodes[n]

    def __iter__(self):
        return iter(self.nodes)

    def start(self):
        for node in self.nodes:
            node.start(ready=False)
        for node in self.nodes:
            node.wait_answering()
        return self

    def leaders(self, name="t"):
        return [n for n in self.nodes if n.role(name) == "leader"]

    def wait_leader(self, name="t", but=None, timeout=20.0):
        """The one node that leads and copies; but: another one than this."""
        def look():
            leaders = self.leaders(name)
            if len(leaders) != 1 or leaders[0] is but:
                return None
            return leaders[0] if leaders[0].topic(name)["state"] == "copying" else None
        return proc.wait_until(look, timeout, f"one leader of {name}")

    def others(self, node):
        return [n for n in self.nodes if n is not node]

    def settled(self, name="t", timeout=20.0):
        """(leader, the others), once the others stand by."""
        leader = self.wait_leader(name, timeout=timeout)
        for n in self.others(leader):
            if n.answers():
                n.wait_standby(name, timeout)
        return leader, self.others(leader)

    def led_by(self, names):
        """{node's index: names that it leads}, as the nodes say."""
        out = {}
        for i, n in enumerate(self.nodes):
            if n.answers():
                try:
                    topics = n.status()["topics"]
                except (OSError, ValueError):
                    continue
                out[i] = [t["name"] for t in topics if t["name"] in names and t["role"] == "leader"]
        return out


def largest_gap(copies, first=1):
    """Seconds between the stored times of consecutive copies, from copy number `first` on."""
    times = [m.time_ns for m in copies[first - 1:]]
    return max(((b - a) / 1e9 for a, b in zip(times, times[1:])), default=0.0)
