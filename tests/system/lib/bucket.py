"""The election bucket as somebody beside the nodes sees it: a stream KV_<name> on $KV.<name>.>."""

import collections
import json

from .nats import ApiError, block, header_get

BUCKET = "CHORIA_LEADER_ELECTION"

Entry = collections.namedtuple("Entry", "revision value operation time_ns")


class Bucket:
    """client: lib.nats.Client of a server that has the bucket, or a function that gives one."""

    def __init__(self, client, name=BUCKET):
        self.client = client
        self.name = name
        self.stream = f"KV_{name}"

    def subject(self, key):
        return f"$KV.{self.name}.{key}"

    # ---- the bucket --------------------------------------------------------------------------------

    def create(self, ttl_s=2.0, history=1, replicas=1, storage="file", **more):
        """With the settings that clients give a bucket."""
        config = {"max_msgs_per_subject": history, "max_age": int(ttl_s * 1e9), "allow_rollup_hdrs": True,
                  "deny_delete": True, "discard": "new", "allow_direct": True,
                  "duplicate_window": min(120 * 10**9, int(ttl_s * 1e9)), "max_msg_size": -1, **more}
        subjects = config.pop("subjects", f"$KV.{self.name}.>")
        self.client.create_stream(self.stream, subjects, replicas=replicas, storage=storage, **config)
        return self

    def exists(self):
        return self.client.has_stream(self.stream)

    def delete_bucket(self):
        self.client.delete_stream(self.stream)

    def config(self):
        return self.client.stream_info(self.stream)["config"]

    def last_revision(self):
        return self.client.last_seq(self.stream)

    # ---- keys --------------------------------------------------------------------------------------

    def entry(self, key):
        """None if there is nothing; operation "" is a value, else DEL or PURGE."""
        try:
            m = self.client.get_message(self.stream, last_by_subj=self.subject(key))
        except ApiError as e:
            if e.err_code == 10059:  # no bucket
                return None
            raise
        if m is None:
            return None
        return Entry(m.seq, m.data, header_get(m.headers, "KV-Operation") or "", m.time_ns)

    def holder(self, key):
        """What stands in the key: JSON as a dict, another text as it is, None for nobody."""
        e = self.entry(key)
        if e is None or e.operation:
            return None
        try:
            value = json.loads(e.value)
            return value if isinstance(value, dict) else e.value.decode()
        except ValueError:
            return e.value.decode()

    def write(self, key, value, expect=None, operation=""):
        """Returns the revision; ApiError if the key does not have revision `expect` (0: none)."""
        lines = []
        if expect is not None:
            lines.append(f"Nats-Expected-Last-Subject-Sequence: {expect}")
        if operation:
            lines.append(f"KV-Operation: {operation}")
        return self.client.js_publish(self.subject(key), value, block(*lines) if lines else b"")["seq"]

    def create_key(self, key, value):
        """As clients do it: also over a delete marker. None if it is held."""
        e = self.entry(key)
        if e is not None and not e.operation:
            return None
        try:
            return self.write(key, value, e.revision if e else 0)
        except ApiError:
            return None

    def update(self, key, value, revision):
        """None if it has another revision by now."""
        try:
            return self.write(key, value, revision)
        except ApiError:
            return None

    def delete(self, key):
        """Without a condition, as by hand."""
        return self.write(key, b"", operation="DEL")
