"""The auditor: compares a target with its source by the origin header.

What it takes for right stands here a second time, written from the documented rules and not from the
programs' code: which headers a copy keeps, loses and renames, how subjects are mapped, what the origin
says. Lost, doubled, reordered and changed must be 0.
"""

import collections
import re

from .nats import header_lines

ORIGIN = "choria-sr-source"
PATH = "choria-sr-path"
VALUE = "choria-sr-value"
# what the copier writes itself and a comparison leaves out on the target's side
OWN = {ORIGIN, PATH, VALUE, "nats-expected-last-sequence", "nats-msg-id"}

Origin = collections.namedtuple("Origin", "stream seq site topic ms")


def split_line(line):
    """Name as text and the rest of the line from the colon on, as bytes."""
    name, colon, rest = line.partition(b":")
    return name.decode("latin-1"), colon + rest


def origin_of(raw):
    """The origin of a stored message; None for none. Two of them are an error."""
    values = [rest[1:].strip() for name, rest in map(split_line, header_lines(raw)) if name.lower() == ORIGIN]
    if not values:
        return None
    assert len(values) == 1, f"{len(values)} origin headers: {raw!r}"
    f = values[0].decode().split(" ")
    assert len(f) == 5, f"origin header has not five fields: {values[0]!r}"
    return Origin(f[0], int(f[1]), f[2], f[3], int(f[4]))


def copied_line(line, pass_rollup=False, accepts=()):
    """What the table of headers makes of a source message's line: a line, or None for removed."""
    name, rest = split_line(line)
    low = name.lower()
    if low.startswith(("nats-expected-", "nats-batch-")):
        return None
    if low.startswith("nats-rollup"):
        return line if pass_rollup else None
    if low == ORIGIN:
        return b"Choria-SR-Previous-Source" + rest
    if low == VALUE:
        return None
    if low == PATH:
        return None  # written anew, with this site behind it; looked at by itself
    if low == "nats-msg-id":
        return b"Choria-SR-Msg-Id" + rest
    if low.startswith("nats-trace-"):
        return b"Choria-SR-" + line
    if low in ("nats-stream-source", "nats-ttl", "nats-incr") or \
            low.startswith(("nats-schedul", "nats-counter-")):
        return line if low in accepts else b"Choria-SR-" + line
    return line


def copied_lines(raw, **rules):
    return [x for x in (copied_line(line, **rules) for line in header_lines(raw)) if x is not None]


def target_lines(raw):
    """The lines of a stored copy without the copier's own."""
    return [line for line in header_lines(raw) if split_line(line)[0].lower() not in OWN]


def path_of(raw):
    out = []
    for line in header_lines(raw):
        name, rest = split_line(line)
        if name.lower() == PATH:
            out += [s.strip() for s in rest[1:].decode().split(",") if s.strip()]
    return out


def map_subject(subject, prefix="", remove=""):
    out = f"{prefix}.{subject}" if prefix else subject
    if remove:
        out = out.replace(remove, "")
    return out.replace("..", ".")


def subject_matches(filter_subject, subject):
    pattern = re.escape(filter_subject).replace(r"\*", "[^.]+")
    if filter_subject == ">":
        pattern = ".+"
    elif pattern.endswith(r"\.>"):
        pattern = pattern[:-1] + ".+"
    return re.fullmatch(pattern, subject) is not None


class Report:
    """Lists of (source sequence or target sequence, why), empty when all is well."""

    def __init__(self):
        self.expected = 0
        self.copies = 0
        self.foreign = 0
        self.lost, self.doubled, self.reordered, self.changed, self.extra = [], [], [], [], []

    KINDS = ("lost", "doubled", "reordered", "changed", "extra")

    @property
    def ok(self):
        return not any(getattr(self, kind) for kind in self.KINDS)

    def __str__(self):
        out = [f"{self.expected} expected, {self.copies} copies, {self.foreign} foreign"]
        for kind in self.KINDS:
            rows = getattr(self, kind)
            out.append(f"  {kind}: {len(rows)}" + (f"  first: {rows[:5]}" if rows else ""))
        return "\n".join(out)


class Audit:
    """One topic's rules, applied to lists of stored messages.

    site, topic, stream  what the origin says
    prefix, remove       mapping of subjects
    filters              filter subjects; wanted(message) decides further
    shared               order is kept for a subject, not over all
    foreign_ok           messages of others may stand in the target
    """

    def __init__(self, stream, site="HERE", topic="t", prefix="", remove="", filters=(), wanted=None,
                 shared=False, foreign_ok=False, pass_rollup=False, accepts=()):
        self.stream, self.site, self.topic = stream, site, topic
        self.prefix, self.remove = prefix, remove
        self.filters = [filters] if isinstance(filters, str) else list(filters)
        self.wanted = wanted
        self.shared, self.foreign_ok = shared, foreign_ok
        self.rules = {"pass_rollup": pass_rollup, "accepts": accepts}

    def expects(self, m):
        if self.filters and not any(subject_matches(f, m.subject) for f in self.filters):
            return False
        return self.wanted is None or self.wanted(m)

    def difference(self, s, t, origin):
        """Why t is no right copy of s; None if it is."""
        if t.subject != map_subject(s.subject, self.prefix, self.remove):
            return f"subject {s.subject!r} became {t.subject!r}"
        if t.data != s.data:
            return f"body of {len(s.data)} bytes became {len(t.data)} bytes, or others"
        want, have = copied_lines(s.headers, **self.rules), target_lines(t.headers)
        if want != have:
            return f"headers: want {want}, have {have}"
        if origin.ms != s.time_ns // 1_000_000:
            return f"origin says {origin.ms} ms, stored at {s.time_ns} ns"
        path = path_of(t.headers)
        if path and path != path_of(s.headers) + [self.site]:
            return f"path {path}"
        return None

    def is_ours(self, origin):
        return origin is not None and (origin.stream, origin.site, origin.topic) == (
            self.stream, self.site, self.topic)

    def run(self, source, target):
        """source, target: stored messages in order of their sequences."""
        r = Report()
        by_seq = {m.seq: m for m in source}
        seen = {}
        last = {}
        for t in target:
            origin = origin_of(t.headers)
            if not self.is_ours(origin):
                r.foreign += 1
                if not self.foreign_ok:
                    r.extra.append((t.seq, t.subject, origin))
                continue
            r.copies += 1
            s = by_seq.get(origin.seq)
            if s is None or not self.expects(s):
                r.extra.append((t.seq, "copy of", origin.seq))
                continue
            if origin.seq in seen:
                r.doubled.append((origin.seq, "at", seen[origin.seq], t.seq))
                continue
            seen[origin.seq] = t.seq
            order = t.subject if self.shared else ""
            if origin.seq < last.get(order, 0):
                r.reordered.append((origin.seq, "behind", last[order], "at", t.seq))
            last[order] = max(origin.seq, last.get(order, 0))
            why = self.difference(s, t, origin)
            if why:
                r.changed.append((origin.seq, t.seq, why))
        expected = [m for m in source if self.expects(m)]
        r.expected = len(expected)
        r.lost = [(m.seq, m.subject) for m in expected if m.seq not in seen]
        return r

    def check(self, source, target):
        r = self.run(source, target)
        assert r.ok, f"audit of {self.stream}:\n{r}"
        return r


def check(source, source_stream, target, target_stream, source_from=1, **rules):
    """Reads both streams through these clients and asserts that the target is right."""
    have = source.read_stream(source_stream, start=source_from)
    copies = target.read_stream(target_stream)
    return Audit(source_stream, **rules).check(have, copies)
