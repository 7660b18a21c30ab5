"""A small NATS client of the tests' own: header blocks go in and come out as raw bytes.

It has no threads: bytes are read while a caller waits for something. A lost connection is made again
by the next request (requests only; whoever subscribes by hand sees ConnectionError). Tests use it to
say exactly what is on the wire and what is stored, so it interprets as little as it can.
"""

import base64
import collections
import json
import os
import re
import socket
import ssl
import time
from datetime import datetime, timezone

Stored = collections.namedtuple("Stored", "seq subject headers data time_ns")


class ApiError(Exception):
    """An error answer of the JetStream API."""

    def __init__(self, error, subject=""):
        super().__init__(f"{subject}: {error}")
        self.code = error.get("code", 0)
        self.err_code = error.get("err_code", 0)
        self.description = error.get("description", "")


class NoResponders(Exception):
    pass


class Msg:
    """One received message; headers is the raw block with its NATS/1.0 line, b"" for none."""

    __slots__ = ("subject", "reply", "headers", "data")

    def __init__(self, subject, reply, headers, data):
        self.subject = subject
        self.reply = reply
        self.headers = headers
        self.data = data

    @property
    def status(self):
        """The inline status of a server's message, 0 for a user's message."""
        m = re.match(rb"NATS/1\.0[ \t]+(\d{3})", self.headers)
        return int(m.group(1)) if m else 0

    @property
    def description(self):
        m = re.match(rb"NATS/1\.0[ \t]+\d{3}[ \t]*([^\r]*)", self.headers)
        return m.group(1).decode() if m else ""


class Sub:
    def __init__(self, sid, subject):
        self.sid = sid
        self.subject = subject
        self.queue = collections.deque()


def block(*lines):
    """A header block from whole lines (bytes or str, without CR LF) or (name, value) pairs."""
    out = [b"NATS/1.0\r\n"]
    for line in lines:
        if isinstance(line, tuple):
            line = f"{line[0]}: {line[1]}"
        if isinstance(line, str):
            line = line.encode()
        out.append(line + b"\r\n")
    out.append(b"\r\n")
    return b"".join(out)


def header_lines(raw):
    """The lines of a block as bytes, without the status line and the final empty line."""
    if not raw:
        return []
    assert raw.startswith(b"NATS/1.0") and raw.endswith(b"\r\n\r\n"), raw
    return raw[:-4].split(b"\r\n")[1:]


def header_get(raw, name):
    """Value of the last line of that name (case as given), blanks around it removed; None for none."""
    value = None
    for line in header_lines(raw):
        n, _, v = line.partition(b":")
        if n == name.encode():
            value = v.strip(b" \t").decode()
    return value


def encode_publish(subject, body=b"", headers=b"", reply=""):
    """The bytes of a PUB or HPUB."""
    subj = f"{subject} {reply}" if reply else subject
    if headers:
        return b"HPUB %s %d %d\r\n%s%s\r\n" % (
            subj.encode(), len(headers), len(headers) + len(body), headers, body)
    return b"PUB %s %d\r\n%s\r\n" % (subj.encode(), len(body), body)


class Client:
    def __init__(self, port, host="127.0.0.1", user=None, password=None, token=None, tls=None, domain=None,
                 nkey_user=None, name="test", timeout=10.0):
        self.address = (host, port)
        self.auth = {k: v for k, v in (("user", user), ("pass", password), ("auth_token", token)) if v}
        self.tls = tls
        self.nkey_user = nkey_user
        self.name = name
        self.timeout = timeout
        self.api_prefix = f"$JS.{domain}.API." if domain else "$JS.API."
        self.sock = None
        self.connect()

    # ---- connection --------------------------------------------------------------------------------

    def connect(self):
        self.close()
        self.buf = b""
        self.pos = 0
        self.sid = 0
        self.subs = {}
        self.pongs = 0
        self.errors = []
        sock = socket.create_connection(self.address, timeout=self.timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = b""
            while not line.endswith(b"\r\n"):
                byte = sock.recv(1)
                if not byte:
                    raise ConnectionError("closed before INFO")
                line += byte
            self.info = json.loads(line[5:])
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_hostname=self.address[0])
            options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                       "name": self.name, "lang": "tests", "version": "1", "protocol": 1,
                       "tls_required": bool(self.tls), **self.auth}
            if self.nkey_user:
                options.update(self.nkey_user.answer(self.info["nonce"]))
            sock.sendall(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        self.inbox = "_INBOX." + os.urandom(9).hex()
        self.token = 0
        self.await_pong(1, self.timeout)
        self.replies = self.subscribe(self.inbox + ".*")

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def send(self, data):
        if not self.sock:
            raise ConnectionError("not connected")
        try:
            self.sock.settimeout(self.timeout)
            self.sock.sendall(data)
        except (OSError, ssl.SSLError) as e:
            self.close()
            raise ConnectionError(str(e)) from e

    def fill(self, timeout):
        """Reads once; False when nothing came in time."""
        if not self.sock:
            raise ConnectionError("not connected")
        try:
            self.sock.settimeout(max(timeout, 0.0005))
            data = self.sock.recv(1 << 18)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except (OSError, ssl.SSLError) as e:
            self.close()
            raise ConnectionError(str(e)) from e
        if not data:
            self.close()
            raise ConnectionError(f"closed by server {self.errors}")
        self.buf = self.buf[self.pos:] + data if self.pos < len(self.buf) else data
        self.pos = 0
        return True

    def parse(self):
        """Takes every whole protocol unit out of the buffer."""
        buf, pos = self.buf, self.pos
        subs = self.subs
        while True:
            eol = buf.find(b"\r\n", pos)
            if eol < 0:
                break
            op = buf[pos:pos + 4]
            if op == b"MSG " or op == b"HMSG":
                f = buf[pos:eol].decode().split(" ")
                total = int(f[-1])
                start = eol + 2
                if len(buf) < start + total + 2:
                    break
                if op == b"MSG ":
                    reply = f[3] if len(f) == 5 else ""
                    headers = b""
                    body = start
                else:
                    reply = f[3] if len(f) == 6 else ""
                    body = start + int(f[-2])
                    headers = buf[start:body]
                sub = subs.get(int(f[2]))
                if sub is not None:
                    sub.queue.append(Msg(f[1], reply, headers, buf[body:start + total]))
                pos = start + total + 2
                continue
            if op == b"PING":
                self.pos = pos = eol + 2
                self.send(b"PONG\r\n")
                continue
            if op == b"PONG":
                self.pongs += 1
            elif op == b"-ERR":
                self.errors.append(buf[pos + 5:eol].decode().strip("'"))
            elif op == b"INFO":
                self.info = json.loads(buf[pos + 5:eol])
            pos = eol + 2
        self.pos = pos

    def pump(self, ready, timeout, what):
        """Reads until ready() is true; TimeoutError says what was waited for."""
        deadline = time.monotonic() + timeout
        self.parse()
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {what} within {timeout} s {self.errors}")
            self.fill(left)
            self.parse()

    def await_pong(self, count, timeout):
        self.pump(lambda: self.pongs >= count, timeout, "PONG")

    def flush(self, timeout=None):
        """All that was sent has been processed by the server."""
        want = self.pongs + 1
        self.send(b"PING\r\n")
        self.await_pong(want, timeout or self.timeout)

    # ---- core --------------------------------------------------------------------------------------

    def publish(self, subject, body=b"", headers=b"", reply=""):
        self.send(encode_publish(subject, body, headers, reply))

    def subscribe(self, subject, queue=""):
        self.sid += 1
        sub = Sub(self.sid, subject)
        self.subs[self.sid] = sub
        middle = f"{subject} {queue}" if queue else subject
        self.send(b"SUB %s %d\r\n" % (middle.encode(), self.sid))
        return sub

    def unsubscribe(self, sub):
        if self.subs.pop(sub.sid, None):
            self.send(b"UNSUB %d\r\n" % sub.sid)

    def next(self, sub, timeout=None):
        self.pump(lambda: sub.queue, timeout or self.timeout, f"message on {sub.subject}")
        return sub.queue.popleft()

    def request(self, subject, body=b"", headers=b"", timeout=None):
        """One request, one answer; connects again if the connection was lost before."""
        if not self.sock:
            self.connect()
        self.token += 1
        reply = f"{self.inbox}.{self.token}"
        self.publish(subject, body, headers, reply)
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            msg = self.next(self.replies, max(deadline - time.monotonic(), 0.001))
            if msg.subject != reply:
                continue  # an answer that came after its time-out
            if msg.status == 503 and not msg.data:
                raise NoResponders(subject)
            return msg

    # ---- JetStream ---------------------------------------------------------------------------------

    def api(self, verb, payload=None, timeout=None):
        """Asks the API and returns the answer's JSON; ApiError for an error answer."""
        body = b"" if payload is None else json.dumps(payload).encode()
        subject = self.api_prefix + verb
        answer = json.loads(self.request(subject, body, timeout=timeout).data)
        if answer.get("error"):
            raise ApiError(answer["error"], subject)
        return answer

    def api_retry(self, verb, payload=None, timeout=20.0):
        """The same until it succeeds: for clusters that are electing and servers that are starting."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.api(verb, payload, timeout=3.0)
            except (ApiError, NoResponders, TimeoutError, ConnectionError, OSError) as e:
                if isinstance(e, ApiError) and e.code not in (500, 503) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def create_stream(self, name, subjects=None, replicas=1, storage="file", **config):
        config = {"name": name, "num_replicas": replicas, "storage": storage, "retention": "limits",
                  "discard": "old", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, **config}
        if subjects:
            config["subjects"] = [subjects] if isinstance(subjects, str) else list(subjects)
        return self.api_retry(f"STREAM.CREATE.{name}", config)

    def update_stream(self, name, **changes):
        config = self.stream_info(name)["config"]
        config.update(changes)
        return self.api_retry(f"STREAM.UPDATE.{name}", config)

    def stream_info(self, name, **request):
        return self.api_retry(f"STREAM.INFO.{name}", request or None)

    def state(self, name):
        return self.stream_info(name)["state"]

    def last_seq(self, name):
        return self.state(name)["last_seq"]

    def has_stream(self, name):
        try:
            self.api(f"STREAM.INFO.{name}")
            return True
        except ApiError as e:
            if e.err_code == 10059:
                return False
            raise

    def delete_stream(self, name):
        self.api(f"STREAM.DELETE.{name}")

    def purge(self, name, **request):
        return self.api(f"STREAM.PURGE.{name}", request or None)["purged"]

    def delete_message(self, stream, seq):
        self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq, "no_erase": True})

    def get_message(self, stream, seq=None, last_by_subj=None):
        """The stored message with its headers as they are on disk; None if there is none."""
        ask = {"seq": seq} if seq is not None else {"last_by_subj": last_by_subj}
        try:
            m = self.api(f"STREAM.MSG.GET.{stream}", ask)["message"]
        except ApiError as e:
            if e.err_code == 10037:
                return None
            raise
        return Stored(m["seq"], m["subject"], base64.b64decode(m.get("hdrs", "")),
                      base64.b64decode(m.get("data", "")), time_ns(m["time"]))

    def js_publish(self, subject, body=b"", headers=b"", timeout=None):
        """Publishes and returns the server's answer {stream, seq, …}."""
        answer = json.loads(self.request(subject, body, headers, timeout=timeout).data)
        if answer.get("error"):
            raise ApiError(answer["error"], subject)
        return answer

    def publish_many(self, messages, every=64, window=2048, timeout=30.0):
        """Stores many messages fast: (subject, body) or (subject, body, headers), one answer asked in
        `every`, at most about `window` unanswered, so that no server drops any. All must go to one
        stream. Returns the last sequence."""
        out, pending, count, last = [], 0, 0, None
        reply = f"{self.inbox}.many"
        limit = max(window // every, 1)

        def take(most):
            nonlocal pending, last
            while pending > most:
                msg = self.next(self.replies, timeout)
                if msg.subject != reply:
                    continue
                answer = json.loads(msg.data or b'{"error":{"description":"no responders"}}')
                if answer.get("error"):
                    raise ApiError(answer["error"], "publish_many")
                last = answer["seq"]
                pending -= 1

        for m in messages:
            count += 1
            asked = count % every == 0
            out.append(encode_publish(m[0], m[1], m[2] if len(m) > 2 else b"", reply if asked else ""))
            if asked:
                pending += 1
                if len(out) >= 512 or pending >= limit:
                    self.send(b"".join(out))
                    out = []
                    take(limit - 1)
        if out and count % every:
            # The last one asks too, so that all are stored on return.
            out[-1] = encode_publish(m[0], m[1], m[2] if len(m) > 2 else b"", reply)
            pending += 1
        self.send(b"".join(out))
        take(0)
        return last

    def read_stream(self, name, start=1, count=None, filter_subject=None, timeout=60.0):
        """Every stored message from sequence start on, in order, through an ephemeral pull consumer."""
        config = {"ack_policy": "none", "max_deliver": 1, "mem_storage": True, "num_replicas": 1,
                  "inactive_threshold": 60_000_000_000, "replay_policy": "instant"}
        if start > 1:
            config.update(deliver_policy="by_start_sequence", opt_start_seq=start)
        else:
            config["deliver_policy"] = "all"
        if filter_subject:
            config["filter_subject"] = filter_subject
        try:
            consumer = self.api_retry(f"CONSUMER.CREATE.{name}", {"stream_name": name, "config": config})
        except ApiError as e:
            if e.err_code == 10084:  # a work queue cannot be read without taking from it
                return self.read_one_by_one(name, start)
            raise
        left = consumer["num_pending"]
        if start <= 1 and not filter_subject:
            # a consumer on a replica that lags a little counts less than there is
            left = max(left, self.state(name)["messages"])
        if count is not None:
            left = min(left, count)
        try:
            return self.read_pull(name, consumer["name"], left, timeout)
        finally:
            try:
                self.api(f"CONSUMER.DELETE.{name}.{consumer['name']}")
            except (ApiError, TimeoutError, ConnectionError):
                pass

    def read_one_by_one(self, name, start):
        state = self.state(name)
        numbers = range(max(start, state["first_seq"]), state["last_seq"] + 1)
        return [m for m in (self.get_message(name, seq) for seq in numbers) if m]

    def read_pull(self, stream, consumer, total, timeout):
        """Keeps two pulls of 1,000 out until `total` messages have come."""
        sub = self.subscribe(f"{self.inbox}x.{os.urandom(4).hex()}")
        ask = f"{self.api_prefix}CONSUMER.MSG.NEXT.{stream}.{consumer}"
        out, asked = [], 0
        deadline = time.monotonic() + timeout
        while len(out) < total:
            while asked < total and asked - len(out) <= 1000:
                batch = min(1000, total - asked)
                self.publish(ask, json.dumps({"batch": batch, "expires": 20_000_000_000}).encode(),
                             reply=sub.subject)
                asked += batch
            self.pump(lambda: sub.queue, max(deadline - time.monotonic(), 0.001),
                      f"message {len(out)} of {total} of {stream}")
            while sub.queue:
                m = sub.queue.popleft()
                if m.status:
                    raise AssertionError(f"reading {stream}: {m.status} {m.description} at {len(out)}")
                f = m.reply.split(".")
                # 9 tokens, or 11 and more with domain and account in front
                seq, ns = (int(f[5]), int(f[7])) if len(f) == 9 else (int(f[7]), int(f[9]))
                out.append(Stored(seq, m.subject, m.headers, m.data, ns))
        self.unsubscribe(sub)
        return out

    def consumers(self, stream):
        return self.api_retry(f"CONSUMER.LIST.{stream}").get("consumers") or []

    def delete_consumer(self, stream, name):
        try:
            self.api(f"CONSUMER.DELETE.{stream}.{name}")
        except ApiError as e:
            if e.code != 500:
                raise  # else it is gone but for a file that the server was just writing

    def step_down(self, stream):
        return self.api(f"STREAM.LEADER.STEPDOWN.{stream}")

    def peer_remove(self, stream, peer):
        return self.api(f"STREAM.PEER.REMOVE.{stream}", {"peer": peer})


def time_ns(text):
    """RFC 3339 with up to nine digits of fraction to nanoseconds since the epoch."""
    m = re.fullmatch(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d+))?(Z|[+-]\d+:\d+)", text)
    zone = m.group(3).replace("Z", "+00:00")
    whole = datetime.fromisoformat(m.group(1) + zone).astimezone(timezone.utc)
    return int(whole.timestamp()) * 1_000_000_000 + int((m.group(2) or "0").ljust(9, "0")[:9])


def rfc3339(epoch_s):
    return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
