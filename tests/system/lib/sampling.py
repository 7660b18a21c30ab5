"""Senders that register again and again, and an auditor of what a sampled topic made of it.

The rules stand here a second time, written from doc/sampling.md and not from the programs' code. Times are
those at which the source stored a message. Which part of the last tenth of a duration a value is copied
early is the program's business: there either answer is right.
"""

import collections
import json

from . import writer
from .audit import Audit, origin_of
from .nats import block

Sampled = collections.namedtuple("Sampled", "said copies by_value")


def say(sender, n=0, size=0, prefix="s", **fields):
    """A message of a sender, on a subject and with a header of its own; size: of the body, at least."""
    body = json.dumps({"sender": sender, "n": n, **fields})
    return f"{prefix}.{sender}", body.ljust(size).encode(), block(f"Sender: {sender}")


def waves(senders, rounds, first=0, prefix="s", size=0):
    """`rounds` times one message of each of so many senders, or of those named."""
    names = [f"n{i}" for i in range(senders)] if isinstance(senders, int) else senders
    return [say(name, n, size, prefix) for n in range(first, first + rounds) for name in names]


def tell(server, messages):
    """Stores them; the stream's last sequence."""
    with server.client() as c:
        return c.publish_many(messages)


def sender_of(m):
    """The value of a stored message; None for none."""
    try:
        value = json.loads(m.data).get("sender")
    except (ValueError, AttributeError):
        return None
    return value or None


class Senders(writer.Writer):
    """Senders n0, n1, … that speak in turn, `rate` messages a second in all. Who is in .mute is passed over,
    and may be put there or taken out at any time."""

    def __init__(self, connect, count, rate=500, prefix="s", size=200, mute=()):
        self.senders = [f"n{i}" for i in range(count)]
        self.mute = set(mute)
        super().__init__(connect, prefix, rate=rate, size=size)

    def message(self):
        while True:
            name = self.senders[self.count % len(self.senders)]
            self.count += 1
            if name not in self.mute:
                return say(name, self.count, self.size, self.prefix)


class Rules:
    """When a message is copied.

    value     of a stored message, None for none
    also      sequences that may be copied for another reason
    rejected  sequences that the target could not take: they count as seen and not as copied
    known     {value: time in ms of a copy that was made elsewhere, before all others}
    """

    def __init__(self, duration_s, size_trigger=0, force=None, value=sender_of, also=(), rejected=(), known=None):
        self.duration_ms = duration_s * 1000
        self.size_trigger, self.force, self.value = size_trigger, force, value
        self.also, self.rejected = set(also), set(rejected)
        self.known = known or {}

    def demand(self, m, age_ms, size):
        """True: must be copied; False: must not; None: either is right. age_ms, size: None if there is none."""
        if age_ms is None or age_ms >= self.duration_ms:
            return True
        if self.force and json.loads(m.data).get(self.force) is True:
            return True
        if self.size_trigger and size is not None and abs(len(m.data) - size) >= self.size_trigger:
            return True
        return None if age_ms >= self.duration_ms * 0.9 or m.seq in self.also else False

    def wrong(self, said, copied):
        """[(sequence, value, what is wrong)] of source messages, by the sequences that were copied."""
        out, last, sizes = [], dict(self.known), {}
        for m in said:
            value, now = self.value(m), m.time_ns // 1_000_000
            is_copied = m.seq in copied
            age = now - last[value] if value in last else None
            demand = True if value is None else self.demand(m, age, sizes.get(value))
            if demand and not is_copied and m.seq not in self.rejected:
                out.append((m.seq, value, f"is missing, {age} ms after the last copy"))
            elif demand is False and is_copied:
                out.append((m.seq, value, f"was copied {age} ms after the last copy"))
            if is_copied:
                last[value] = now
            sizes[value] = len(m.data)
        return out


def check_sampled(source, target, rules, stream="S", target_stream=None, said=None, **audit):
    """What is at the target is what the rules demand, each message once, in order, and unchanged. said: what
    the source holds, where it cannot be read any more. Returns Sampled."""
    wanted = Audit(stream, **audit)
    with source.client() as s, target.client() as t:
        said = [m for m in said or s.read_stream(stream) if wanted.expects(m)]
        copies = t.read_stream(target_stream or stream)
    origins = [origin_of(m.headers) for m in copies]
    copied = {o.seq for o in origins if wanted.is_ours(o)}
    wanted.wanted = lambda m: m.seq in copied
    wanted.check(said, copies)
    wrong = rules.wrong(said, copied)
    assert not wrong, f"{len(wrong)} of {len(said)} messages, {len(copied)} of them copied; first: {wrong[:8]}"
    by_value = collections.Counter(rules.value(m) for m in said if m.seq in copied)
    return Sampled(said, sorted(copied), by_value)


def last_of(server, stream="S"):
    with server.client() as c:
        return c.last_seq(stream)


def settle(r, w, source, stream="S", name="t", timeout=60.0):
    """Stops the writer, and waits until all is settled."""
    w.stop()
    r.wait_committed(last_of(source, stream), timeout, name)
