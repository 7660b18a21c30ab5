"""Operator, account and users as NATS knows them: nkeys and JWTs, made with the openssl command."""

import base64
import json
import os
import subprocess
import time

from . import proc

SEED, OPERATOR, ACCOUNT, USER = 18 << 3, 14 << 3, 0, 20 << 3


def crc16(data):
    """XMODEM, as nkeys have it at their end."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def encode(raw):
    return base64.b32encode(raw + crc16(raw).to_bytes(2, "little")).decode().rstrip("=")


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Key:
    def __init__(self, kind, directory):
        self.path = os.path.join(directory, os.urandom(6).hex() + ".pem")
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        raw = openssl("pkey", "-in", self.path, "-outform", "DER")[-32:]
        self.seed = encode(bytes([SEED | kind >> 5, (kind & 31) << 3]) + raw)
        public = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:]
        self.public = encode(bytes([kind]) + public)

    def sign(self, data):
        path = self.path + ".data"  # openssl wants to know the length beforehand
        with open(path, "wb") as f:
            f.write(data)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", path)

    def jwt(self, subject, name, claims, expires=None):
        """Issued and signed by this key."""
        body = {"jti": os.urandom(12).hex(), "iat": int(time.time()), "iss": self.public, "name": name,
                "sub": subject.public, "nats": {"version": 2, **claims}}
        if expires:
            body["exp"] = int(expires)
        text = b64url(b'{"typ":"JWT","alg":"ed25519-nkey"}') + "." + b64url(json.dumps(body).encode())
        return text + "." + b64url(self.sign(text.encode()))


UNLIMITED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage",
                           "disk_storage", "streams", "consumer"), -1)


class Operator:
    """An operator with a system account and one account; users are made for that."""

    def __init__(self):
        self.dir = proc.temp_dir("sr-nkeys-")
        self.key, self.account, system = (Key(kind, self.dir) for kind in (OPERATOR, ACCOUNT, ACCOUNT))
        self.account_jwt = self.key.jwt(self.account, "A", {
            "type": "account", "limits": {**UNLIMITED, "wildcards": True}})
        system_jwt = self.key.jwt(system, "SYS", {"type": "account", "limits": {
            **UNLIMITED, "wildcards": True, "mem_storage": 0, "disk_storage": 0, "streams": 0, "consumer": 0}})
        own = self.key.jwt(self.key, "O", {"type": "operator", "system_account": system.public})
        self.config = (f'operator: "{own}"\nsystem_account: "{system.public}"\nresolver: MEMORY\n'
                       f'resolver_preload {{ {self.account.public}: "{self.account_jwt}", '
                       f'{system.public}: "{system_jwt}" }}\n')

    def user(self, expires=None):
        return User(self, expires)

    def close(self):
        proc.remove_dir(self.dir)


class User:
    def __init__(self, operator, expires=None):
        self.key = Key(USER, operator.dir)
        self.jwt = operator.account.jwt(self.key, "u", {"type": "user", "subs": -1, "data": -1, "payload": -1},
                                        expires)

    def credentials(self):
        """A credentials file's text."""
        return (f"-----BEGIN NATS USER JWT-----\n{self.jwt}\n------END NATS USER JWT------\n\n"
                "************************* IMPORTANT *************************\n"
                f"-----BEGIN USER NKEY SEED-----\n{self.key.seed}\n------END USER NKEY SEED------\n")

    def answer(self, nonce):
        """What CONNECT carries for a server's nonce."""
        return {"jwt": self.jwt, "sig": b64url(self.key.sign(nonce.encode()))}
