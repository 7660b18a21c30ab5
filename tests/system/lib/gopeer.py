"""What a node of the older Stream Replicator, written in Go, does in an election that is shared with it:
its candidate's name is plain text in the key, it renews after three quarters of the TTL, works from its
second write on, reads one message after the other through a durable consumer that knows where it stands,
and publishes without any condition. When it ends it deletes the key, whoever holds it."""

import json
import threading
import time

from .audit import ORIGIN
from .bucket import Bucket
from .nats import ApiError, header_lines


def with_origin(raw, stream, seq, site, topic, ms):
    line = b"Choria-SR-Source: %s %d %s %s %d" % (stream.encode(), seq, site.encode(), topic.encode(), ms)
    return b"NATS/1.0\r\n" + b"".join(x + b"\r\n" for x in [*header_lines(raw), line]) + b"\r\n"


class GoPeer(threading.Thread):
    """Runs from its making on until stop()."""

    def __init__(self, source, target, ttl_s, key="SR_t_S", candidate="GO-NODE", topic="t", stream="S",
                 site="HERE"):
        super().__init__(daemon=True)
        assert ORIGIN == "choria-sr-source"
        self.ttl_s, self.key, self.candidate = ttl_s, key, candidate
        self.topic, self.stream, self.site = topic, stream, site
        self.durable = f"SR_{topic}"
        self.source, self.target = source.client(), target.client()
        self.bucket = Bucket(source.client())
        self.copied = 0
        self.resume = 0
        self.pulls = None
        self.revision = None
        self.leads = False
        self.ending = threading.Event()
        self.error = None
        self.start()

    # ---- election ----------------------------------------------------------------------------------

    def campaign(self):
        if self.revision is None:
            self.revision = self.bucket.create_key(self.key, self.candidate.encode())
            return
        self.revision = self.bucket.update(self.key, self.candidate.encode(), self.revision)
        if self.revision is None:
            self.leads = False
        elif not self.leads:
            self.ending.wait(0.2)
            self.check_consumer()
            self.leads = True

    # ---- copying -----------------------------------------------------------------------------------

    def check_consumer(self):
        try:
            self.source.api(f"CONSUMER.INFO.{self.stream}.{self.durable}")
        except ApiError as e:
            if e.err_code != 10014:
                raise
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": self.resume} if self.resume else {
                "deliver_policy": "all"}
            self.source.api(f"CONSUMER.DURABLE.CREATE.{self.stream}.{self.durable}", {
                "stream_name": self.stream, "config": {
                    "durable_name": self.durable, "ack_policy": "explicit", "max_ack_pending": 1,
                    "ack_wait": 30 * 10**9, "replay_policy": "instant", "max_waiting": 512, **start}})

    def copy_one(self):
        ask = json.dumps({"batch": 1, "expires": 200_000_000}).encode()
        if self.pulls is None:
            self.pulls = self.source.subscribe(f"{self.source.inbox}.pulled.messages")
        self.source.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}", ask,
                            reply=self.pulls.subject)
        try:
            m = self.source.next(self.pulls, 1.0)
        except TimeoutError:
            return self.check_consumer()
        if m.status:
            return self.check_consumer() if m.status == 503 else None
        f = m.reply.split(".")
        seq, ns = int(f[5]), int(f[7])
        headers = with_origin(m.headers, self.stream, seq, self.site, self.topic, ns // 10**6)
        self.target.js_publish(m.subject, m.data, headers, timeout=2.0)
        self.copied += 1
        self.source.request(m.reply, b"+ACK", timeout=2.0)
        self.resume = seq
        return None

    def run(self):
        try:
            due = 0
            while not self.ending.is_set():
                now = time.monotonic()
                if now >= due:
                    due = now + 0.75 * self.ttl_s
                    self.campaign()
                if self.leads:
                    self.copy_one()
                else:
                    self.ending.wait(max(0.0, due - time.monotonic()))
            self.leads = False
            self.bucket.delete(self.key)
        except Exception as e:  # told by stop(), in the test's own thread
            self.error = e
        for c in (self.source, self.target, self.bucket.client):
            c.close()

    def stop(self):
        self.ending.set()
        self.join(10)
        if self.error:
            raise self.error

    def close(self):
        self.ending.set()
        self.join(10)
