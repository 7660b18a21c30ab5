"""TLS and credentials."""

import os
import time

import pytest

from lib.certs import Certs
from lib.nkeys import Operator
from lib.proc import wait_until
from lib.replicator import topic
from lib.writer import fill


@pytest.fixture
def tls_pair(scene, certs):
    """Two servers that ask for certificates; S stands on the first."""
    a, b = scene.server(tls=certs, tls_verify=True), scene.server(tls=certs, tls_verify=True)
    with a.client() as c:
        c.create_stream("S", "s.>")
    return a, b


def test_mutual_tls(scene, tls_pair, check_copy):
    a, b = tls_pair
    fill(a, 20_000)
    r = scene.replicate(a, b)
    r.wait_committed(20_000)
    check_copy(a, b)


def test_large_messages_through_tls(scene, tls_pair, check_copy):
    a, b = tls_pair
    fill(a, 60, size=800_000)
    r = scene.replicate(a, b)
    r.wait_committed(60)
    check_copy(a, b)


def test_most_specific_section_wins(scene, tls_pair, certs, check_copy):
    """The section of the file serves both ends; one of the topic takes its place whole."""
    a, b = tls_pair
    fill(a, 10)
    options = {"stream": "S", "source_url": a.url, "target_url": b.url}
    r = scene.prepare({"t": options}, tls=certs.section()).start()
    r.wait_committed(10)
    check_copy(a, b)
    r.topics["t"]["target_tls"] = {"ca": certs.ca}  # without the client's certificate
    r.write()
    r.command("reload", check=True)
    r.wait_topic(lambda t: t["state"] == "connecting" and t["reason"], what="refused")


def test_missing_client_certificate_is_said_in_words(scene, tls_pair, certs):
    a, b = tls_pair
    r = scene.prepare({"t": {"stream": "S", "source_url": a.url, "target_url": b.url,
                             "tls": {"ca": certs.ca}}}).start()
    reason = r.wait_topic(lambda t: t["reason"])["reason"]
    assert "certificate" in reason, reason


def test_unknown_authority_is_refused_until_it_is_right(scene, tls_pair, certs, check_copy):
    a, b = tls_pair
    fill(a, 10)
    other = scene.add(Certs())
    r = scene.prepare({"t": {**topic(a, b), "target_tls": {**certs.section(), "ca": other.ca}}}).start()
    r.wait_topic(lambda t: t["reason"])
    with b.client() as c:
        assert not c.has_stream("S")
    r.topics["t"]["target_tls"] = certs.section()
    r.write()
    r.command("reload", check=True)
    r.wait_committed(10)
    check_copy(a, b)


def test_insecure_trusts_anybody(scene, tls_pair, certs):
    a, b = tls_pair
    fill(a, 10)
    other = scene.add(Certs())
    r = scene.prepare({"t": {**topic(a, b), "target_url": b.url + "?insecure=true",
                             "target_tls": {**certs.section(), "ca": other.ca}}}).start()
    r.wait_committed(10)


def test_certificates_are_read_anew_at_each_connect(scene, tls_pair, certs, check_copy):
    """A certificate file that was bad is replaced: no reload is needed."""
    a, b = tls_pair
    fill(a, 10)
    mine = scene.add(Certs())
    r = scene.prepare({"t": {**topic(a, b), "source_tls": {
        "ca": certs.ca, "cert": mine.client_cert, "key": mine.client_key}}}).start()
    r.wait_topic(lambda t: t["state"] == "connecting" and t["reason"])
    for old, new in ((certs.client_cert, mine.client_cert), (certs.client_key, mine.client_key)):
        with open(old) as f, open(new, "w") as out:
            out.write(f.read())
    r.wait_committed(10)
    check_copy(a, b)


# ---- trouble inside TLS ------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["source", "target"])
def test_frozen_server_does_not_stop_the_loop(scene, tls_pair, check_copy, side):
    """Reading half a record and writing into a full socket block inside the library, unless it is kept
    from that. The supervisor would replace a worker that is silent for so long."""
    a, b = tls_pair
    fill(a, 6000, size=10_000)
    r = scene.replicate(a, b, rate_limit="1500/s")
    r.wait_committed(500)
    pid = r.worker_pid()
    frozen = a if side == "source" else b
    frozen.freeze()
    until = time.monotonic() + 9
    while time.monotonic() < until:
        assert r.worker_pid() == pid
        time.sleep(0.2)
    frozen.thaw()
    r.wait_committed(6000)
    check_copy(a, b)
    assert r.topic()["restarts"] == 0


@pytest.mark.parametrize("side, way", [("source", "down"), ("source", "up"), ("target", "down"),
                                       ("target", "up")])
def test_half_a_record(scene, tls_pair, check_copy, side, way):
    a, b = tls_pair
    link = scene.link(a if side == "source" else b)
    fill(a, 20_000)
    r = scene.replicate(a, b, rate_limit="4000/s", **{f"{side}_port": link.port})
    r.wait_committed(2000)
    pid = r.worker_pid()
    link.hold_half_record(way)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        assert r.worker_pid() == pid
        time.sleep(0.2)
    link.thaw()
    r.wait_committed(20_000)
    check_copy(a, b)
    assert r.topic()["restarts"] == 0


def test_far_end_through_tls(scene, tls_pair, check_copy):
    a, b = tls_pair
    fill(a, 20_000)
    link = scene.link(b, rtt_ms=100)
    began = time.monotonic()
    r = scene.replicate(a, b, target_port=link.port)
    r.wait_committed(20_000, timeout=60)
    assert time.monotonic() - began < 30
    check_copy(a, b)


# ---- credentials -------------------------------------------------------------------------------------


@pytest.fixture
def guarded_pair(scene):
    a = scene.server(users="{ user: repl, password: secret }", user="repl", password="secret")
    b = scene.server(token="s3cr3t-token")
    with a.client() as c:
        c.create_stream("S", "s.>")
    return a, b


def test_user_and_token(scene, guarded_pair, check_copy):
    a, b = guarded_pair
    fill(a, 100)
    r = scene.replicate(a, b)
    r.wait_committed(100)
    check_copy(a, b)
    for text in (r.log(10_000), r.command("status").stdout, r.command("check", "--print").stdout):
        assert "secret" not in text and "s3cr3t-token" not in text


def test_bad_credentials_that_become_good(scene, guarded_pair, check_copy):
    """The server is told of the user later: trying goes on, also after two equal refusals."""
    a, b = guarded_pair
    fill(a, 100)
    late = scene.prepare({"t": {**topic(a, b), "source_url": a.url_for(a.port, "later", "word")}}).start()
    reason = late.wait_topic(lambda t: t["state"] == "connecting" and t["reason"])["reason"]
    assert "uthorization" in reason or "uthentication" in reason, reason
    wait_until(lambda: late.topic()["counters"]["connection_errors"] >= 4, 20, "several attempts")
    a.users += ", { user: later, password: word }"
    a.reload()
    late.wait_committed(100)
    check_copy(a, b)
    assert late.topic()["restarts"] == 0


def test_credentials_that_are_withdrawn(scene, guarded_pair, check_copy):
    a, b = guarded_pair
    fill(a, 100)
    r = scene.replicate(a, b)
    r.wait_committed(100)
    users = a.users
    a.users = "{ user: other, password: other }"
    a.reload()
    r.wait_state("connecting")
    a.users = users
    a.reload()
    fill(a, 100, first=101)
    r.wait_committed(200)
    check_copy(a, b)


@pytest.fixture
def operator_pair(scene):
    """A source that knows users by their keys, and an open target."""
    operator = scene.add(Operator())
    a, b = scene.server(operator=operator), scene.server()
    with a.client() as c:
        c.create_stream("S", "s.>")
    return operator, a, b


def keep(r, name, text):
    path = os.path.join(r.dir, name)
    with open(path, "w") as f:
        f.write(text)
    return path


@pytest.mark.parametrize("files", ["credentials", "jwt and nkey"])
def test_user_with_a_key(scene, operator_pair, check_copy, files):
    operator, a, b = operator_pair
    fill(a, 100)
    r = scene.prepare({})
    user = operator.user()
    if files == "credentials":
        query = "credentials=" + keep(r, "u.creds", user.credentials())
    else:
        query = f"jwt={keep(r, 'u.jwt', user.jwt)}&nkey={keep(r, 'u.nk', user.key.seed)}"
    r.topics["t"] = {"stream": "S", "source_url": f"{a.url}?{query}", "target_url": b.url}
    r.write()
    r.start()
    r.wait_committed(100)
    check_copy(a, b)
    assert user.key.seed not in r.log(100_000)


def test_expired_credentials_that_are_renewed(scene, operator_pair, check_copy):
    """The file is read at each connect, so that whoever renews it need not tell us."""
    operator, a, b = operator_pair
    fill(a, 100)
    r = scene.prepare({})
    path = keep(r, "u.creds", operator.user(expires=time.time() - 60).credentials())
    r.topics["t"] = {"stream": "S", "source_url": f"{a.url}?credentials={path}", "target_url": b.url}
    r.write()
    r.start()
    assert r.wait_topic(lambda t: t["state"] == "connecting" and t["reason"])
    keep(r, "u.creds", operator.user().credentials())
    r.wait_committed(100)
    check_copy(a, b)


def test_credentials_that_run_out_while_it_copies(scene, operator_pair, check_copy):
    operator, a, b = operator_pair
    fill(a, 100)
    r = scene.prepare({})
    path = keep(r, "u.creds", operator.user(expires=time.time() + 3).credentials())
    r.topics["t"] = {"stream": "S", "source_url": f"{a.url}?credentials={path}", "target_url": b.url}
    r.write()
    r.start()
    r.wait_committed(100)
    r.wait_state("connecting", 20)
    keep(r, "u.creds", operator.user().credentials())
    fill(a, 100, first=101)
    r.wait_committed(200)
    check_copy(a, b)
