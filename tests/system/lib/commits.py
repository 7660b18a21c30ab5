"""Counting what is written to a state.db while it is used."""

import sqlite3
import threading
import time


class Commits(threading.Thread):
    """Counts the transactions of others in state.db."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.count, self.ending = path, 0, threading.Event()
        self.began = time.monotonic()
        self.start()

    def run(self):
        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)
        last = None
        while not self.ending.wait(0.02):
            now = db.execute("PRAGMA data_version").fetchone()[0]
            self.count += last is not None and now != last
            last = now
        db.close()

    def rate(self):
        self.ending.set()
        self.join()
        return self.count / (time.monotonic() - self.began)
