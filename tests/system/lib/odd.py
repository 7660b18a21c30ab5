"""Messages that copiers get wrong: as (subject, body, header block), stored by servers of any age, or
left out where a server refuses them."""

import random

from .nats import ApiError, block

# bytes of every value, so that nothing on the way may treat them as text
BINARY = bytes(range(256)) * 4


def messages(prefix="s", stream="S"):
    s = prefix
    return [
        (f"{s}.plain", b"hello", b""),
        (f"{s}.empty", b"", b""),
        (f"{s}.kv.delete", b"", block("KV-Operation: DEL")),
        (f"{s}.headers.only", b"", block("A: 1", "B: 2")),
        (f"{s}.headers.empty-values", b"x", block("Empty:", "Blank: ", "After: a", "Last:")),
        (f"{s}.headers.empty-values.no-body", b"", block("Empty:", "After: a", "Last:")),
        (f"{s}.headers.blanks", b"x", block("Tight:a", "Wide:   b", "Behind: c  ", "In:d  e")),
        (f"{s}.headers.case", b"x", block("lower: 1", "UPPER: 2", "MiXeD: 3", "lower: 4", "Lower: 5")),
        (f"{s}.headers.duplicate", b"x", block("Z: 1", "A: 2", "Z: 3", "A: 2", "Z: 1")),
        (f"{s}.headers.colons", b"x", block("Url: nats://a:b@c:4222", "T:::", "U: :")),
        (f"{s}.headers.utf8", b"x", block("Name: Žlutý kůň", "日本: 語")),
        (f"{s}.headers.binary", b"x", b"NATS/1.0\r\nB: \x01\x02\x7f\x80\xff\r\n\r\n"),
        (f"{s}.headers.status", b"x", block("Status: 503", "Description: No Responders", "Nats-Last-Consumer: 7")),
        (f"{s}.headers.long", b"x", block("Long: " + "v" * 3000, *[f"H{i}: {i}" for i in range(100)])),
        (f"{s}.headers.none", b"x", block()),
        (f"{s}.body.nul", b"\0a\0", block("A: 1")),
        (f"{s}.body.crlf", b"\r\n\r\nPUB x 1\r\n", b""),
        (f"{s}.body.binary", BINARY, b""),
        (f"{s}.body.looks-like-headers", b"NATS/1.0\r\nA: b\r\n\r\n", b""),
        (f"{s}.body.json", '{"a":"é","b":[1,2.50,null]}'.encode(), block("Content-Type: application/json")),
        (f"{s}.big", random.Random(1).randbytes(900 * 1024), b""),
        (f"{s}.big.headers", b"y" * 700_000, block(*[f"H{i}: " + "z" * 500 for i in range(20)])),
        (f"{s}.id", b"1", block("Nats-Msg-Id: same")),
        (f"{s}.expect.id", b"x", block("Keep: me", "Nats-Expected-Last-Msg-Id: same")),
        (f"{s}.expect.stream", b"x", block(f"Nats-Expected-Stream: {stream}", "Keep: me")),
        (f"{s}.expect.subject", b"x", block("Nats-Expected-Last-Subject-Sequence: 0")),
        (f"{s}.earlier-hop", b"x", block("Choria-SR-Source: OLD 77 ELSEWHERE far 1600000000000", "A: b")),
        (f"{s}.earlier-hop.unknown", b"x", block("Choria-SR-Source: OLD -1 ELSEWHERE far -1")),
        (f"{s}.trace.dest", b"x", block("Nats-Trace-Dest: nowhere.to.be.seen", "Keep: me")),
        (f"{s}.trace.only", b"x", block("Nats-Trace-Dest: nowhere", "Nats-Trace-Only: true")),
        (f"{s}.ttl", b"x", block("Nats-TTL: 1h")),
        (f"{s}.sourced", b"x", block("Nats-Stream-Source: OTHER 5")),
        (f"{s}.scheduled", b"x", block("Nats-Schedule: @at 2099-01-01T00:00:00Z",
                                       f"Nats-Schedule-Target: {s}.later")),
        (f"{s}.counter", b"", block("Nats-Incr: +1")),
        (f"{s}.batch", b"x", block("Nats-Batch-Id: b", "Nats-Batch-Sequence: 1")),
        (f"{s}.token-with-$-and-ünïcode", b"x", b""),
        (f"{s}." + ".".join("abcdefghijklmnop"), b"x", b""),
    ]


def store(client, prefix="s", stream="S"):
    """Stores them; returns how many the server took. A server that does not know a header stores it, one
    that does may refuse it."""
    count = 0
    for subject, body, headers in messages(prefix, stream):
        try:
            client.js_publish(subject, body, headers, timeout=2.0)
            count += 1
        except (ApiError, TimeoutError):
            continue  # refused, or traced and not stored
    return count
