"""Advisories as a consumer of them reads them: from a stream that stores their subjects."""

import collections
import json

from .nats import header_get
from .proc import wait_until

V1 = "https://choria.io/schemas/sr/v1/age_advisory.json"
V2 = "io.choria.sr.v2.age_advisory"
V1_FIELDS = ["$schema", "inspect", "value", "age", "seen", "replicator", "timestamp", "event"]
V2_FIELDS = ["protocol", "event_id", "inspect_field", "age", "seen", "replicator", "timestamp", "event", "value"]

Advisory = collections.namedtuple("Advisory", "seq subject event value seen age timestamp id stored_ms body")


def read_one(m):
    """A stored message as an advisory, whose form is checked; id: of its body, or of its header."""
    body = json.loads(m.data)
    want = V1_FIELDS if "$schema" in body else V2_FIELDS
    assert list(body) == want, body
    assert body.get("$schema") == V1 or body.get("protocol") == V2, body
    for name in ("age", "seen", "timestamp"):
        assert isinstance(body[name], (int, float)), body
    msg_id = header_get(m.headers, "Nats-Msg-Id") if m.headers else None
    assert not msg_id or body.get("event_id", msg_id) == msg_id, (body, msg_id)
    return Advisory(m.seq, m.subject, body["event"], body["value"], body["seen"], body["age"],
                    body["timestamp"], body.get("event_id") or msg_id, m.time_ns // 1_000_000, body)


class Reader:
    """Of a stream at a server, which is made with the subjects adv.>"""

    def __init__(self, server, stream="ADV", subjects="adv.>", make=True, **config):
        self.server, self.stream = server, stream
        if make:
            with server.client() as c:
                c.create_stream(stream, subjects, **config)

    def all(self):
        with self.server.client() as c:
            return [read_one(m) for m in c.read_stream(self.stream)]

    def of(self, *events, value=None):
        return [a for a in self.all() if a.event in events and value in (None, a.value)]

    def counts(self):
        """{(event, value): how many}"""
        return collections.Counter((a.event, a.value) for a in self.all())

    def wait(self, event, value=None, count=1, timeout=10.0):
        """Until there are so many; all of that kind."""
        def look():
            found = self.of(event, value=value)
            return found if len(found) >= count else None
        return wait_until(look, timeout, f"{count} advisories {event} of {value or 'any'}; have {self.counts()}")

    def check_once(self):
        """No event is there twice, where they have ids."""
        said = self.all()
        twice = [i for i, n in collections.Counter(a.id for a in said if a.id).items() if n > 1]
        assert not twice, [a for a in said if a.id in twice]
        return said

    def check_each_once(self):
        """And of each value they come in an order that makes sense."""
        said = self.check_once()
        follows = {None: {"new"}, "new": {"timeout"}, "timeout": {"recover", "expire"}, "recover": {"timeout"},
                   "expire": {"new"}}
        last = {}
        for a in said:
            before = last.get(a.value)
            assert a.event in follows[before], f"{a.event} of {a.value} after {before}: {said}"
            last[a.value] = a.event
        return said
