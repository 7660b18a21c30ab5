"""state.db: lost, damaged, on a full disk; and how it reads."""

import os
import sqlite3
import subprocess

import pytest

from lib.proc import wait_until
from lib.replicator import topic
from lib.writer import fill


def db_path(r):
    return os.path.join(r.state_dir, "state.db")


def wait_checkpoint(r, seq):
    wait_until(lambda: r.database("SELECT source_seq FROM checkpoint WHERE source_seq >= ?", seq), 15,
               f"a checkpoint at {seq}")


def test_people_can_read_it_while_the_daemon_runs(scene, source, target):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    wait_checkpoint(r, 100)
    rows = r.database("SELECT topic, worker, source_stream, source_seq, target_stream, target_seq "
                      "FROM checkpoint")
    assert rows == [("t", r.topic()["worker"], "S", 100, "S", 100)]
    out = subprocess.run(["sqlite3", db_path(r), "SELECT * FROM v_checkpoint"], capture_output=True,
                         text=True, check=True).stdout
    assert "100" in out and "-" in out and ":" in out
    for view in ("v_sample", "v_incident"):
        r.database(f"SELECT * FROM {view}")
    assert r.database("PRAGMA journal_mode") == [("wal",)]
    assert r.database("PRAGMA user_version")[0][0] >= 1


@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_lost_state_costs_nothing(scene, source, target, check_copy, kill):
    fill(source, 3000)
    r = scene.replicate(source, target)
    r.wait_committed(3000)
    r.kill() if kill else r.stop()
    for name in os.listdir(r.state_dir):
        os.unlink(os.path.join(r.state_dir, name))
    fill(source, 500, first=3001)
    r.start()
    r.wait_committed(3500)
    assert check_copy(source, target).copies == 3500


def test_lost_state_and_purged_target(scene, source, target):
    """The source's consumer still knows."""
    fill(source, 300)
    r = scene.replicate(source, target)
    r.wait_committed(300)
    r.stop()
    for name in os.listdir(r.state_dir):
        os.unlink(os.path.join(r.state_dir, name))
    with target.client() as t:
        t.purge("S")
    fill(source, 10, first=301)
    r.start()
    r.wait_committed(310)
    with target.client() as t:
        assert t.state("S")["messages"] == 10


def test_state_removed_while_it_runs(scene, source, target, check_copy):
    fill(source, 100)
    r = scene.replicate(source, target)
    r.wait_committed(100)
    for name in os.listdir(r.state_dir):
        if name.startswith("state.db"):
            os.unlink(os.path.join(r.state_dir, name))
    fill(source, 100, first=101)
    r.wait_committed(200)
    assert r.stop() == 0
    r.start()
    fill(source, 1, first=201)
    r.wait_committed(201)
    check_copy(source, target)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "zeros"])
def test_damaged_state_is_set_aside(scene, source, target, check_copy, damage):
    fill(source, 500)
    r = scene.replicate(source, target)
    r.wait_committed(500)
    wait_checkpoint(r, 500)
    r.stop()
    path = db_path(r)
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        if damage == "garbage":
            f.write(os.urandom(size))
        elif damage == "zeros":
            f.seek(100)
            f.write(b"\0" * (size - 100))
        else:
            f.truncate(size // 2 - 7)
    fill(source, 100, first=501)
    r.start()
    r.wait_committed(600)
    assert check_copy(source, target).copies == 600
    aside = [n for n in os.listdir(r.state_dir)
             if n.startswith("state.db.damaged") and not n.endswith(("-wal", "-shm"))]
    assert len(aside) == 1, os.listdir(r.state_dir)
    rows = wait_until(lambda: r.database("SELECT kind, detail FROM incident"), 10, "an incident")
    assert any("damaged" in " ".join(map(str, row)) for row in rows), rows
    wait_checkpoint(r, 600)


def test_state_of_a_newer_version_is_not_overwritten(scene, source, target):
    fill(source, 10)
    r = scene.replicate(source, target)
    r.wait_committed(10)
    wait_checkpoint(r, 10)
    r.stop()
    db = sqlite3.connect(db_path(r))
    db.execute("PRAGMA user_version = 9999")
    db.commit()
    db.close()
    r.start()
    fill(source, 10, first=11)
    r.wait_committed(20)
    assert [n for n in os.listdir(r.state_dir) if n.startswith("state.db.")]


def mount_small(path):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "sr-test", path], capture_output=True)
    return done.returncode == 0


def test_full_disk_stops_only_the_checkpoints(scene, source, target, check_copy):
    """A small file system of its own; without the right to mount one, this cannot be played."""
    r = scene.prepare({}, name="HERE")
    if os.geteuid() != 0 or not mount_small(r.state_dir):
        pytest.skip("needs root and the right to mount")
    try:
        r.topics["t"] = topic(source, target)
        r.write()
        fill(source, 100)
        r.start()
        r.wait_committed(100)
        wait_checkpoint(r, 100)
        filler = os.open(os.path.join(r.state_dir, "filler"), os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            os.close(filler)
        w = scene.writer(source, rate=500)
        wait_until(lambda: r.status().get("state_problem"), 30, "it is said")
        assert not r.status()["ok"]
        r.wait_committed(2000)
        os.unlink(os.path.join(r.state_dir, "filler"))
        wait_until(lambda: not r.status().get("state_problem"), 60, "it is well again")
        w.stop()
        with source.client() as c:
            last = c.last_seq("S")
        r.wait_committed(last)
        wait_checkpoint(r, last)
        assert r.stop() == 0
        check_copy(source, target)
    finally:
        if r.running():
            r.kill()
        subprocess.run(["umount", "-l", r.state_dir], check=False)


def test_state_directory_that_cannot_be_written(scene, source, target, check_copy):
    """Work goes on without checkpoints, or the start is refused with the reason; never in silence."""
    fill(source, 50)
    r = scene.prepare({"t": {"stream": "S", "source_url": source.url, "target_url": target.url}})
    os.rmdir(r.state_dir)
    with open(r.state_dir, "w") as f:
        f.write("a file stands where the directory should be\n")
    r.start(ready=False)
    wait_until(lambda: not r.running() or r.state_dir in r.log(1000), 10, "something is said")
    assert r.state_dir in r.log(1000)


def test_checkpoints_survive_kill(scene, source, target):
    w = scene.writer(source, rate=1000)
    r = scene.replicate(source, target)
    for seq in (500, 1500, 2500):
        r.wait_committed(seq)
        r.kill()
        db = sqlite3.connect(db_path(r))
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM checkpoint").fetchone()[0] <= 1
        db.close()
        r.start()
    w.stop()
