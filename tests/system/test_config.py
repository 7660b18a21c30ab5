"""Wrong configurations: each is refused with file, line, setting and cure, and exit code 78. The
syntax itself has golden tests; here are those that a user meets."""

import os

import pytest

GOOD = '''name = "HERE"
state_dir = "{dir}"
topic t {{
    stream = S
    source_url = "nats://127.0.0.1:4222"
    target_url = "nats://127.0.0.1:4223"
    {more}
}}
'''


@pytest.fixture
def check(scene):
    def run(text, *args):
        r = scene.prepare({})
        r.write(text.replace("{dir}", r.state_dir))
        return r, r.command("check", *args)
    return run


def with_line(line):
    return GOOD.format(dir="{dir}", more=line)


def test_good(check):
    _, done = check(with_line(""))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line, words", [
    ("bogus = 1", ["bogus"]),
    ('on_reject = "sometimes"', ["on_reject", "sometimes"]),
    ("max_inflight = many", ["max_inflight", "many"]),
    ("max_inflight = 0", ["max_inflight"]),
    ("ack_timeout = 5", ["ack_timeout", "5"]),
    ("ack_timeout = 5x", ["ack_timeout", "5x"]),
    ('rate_limit = "fast"', ["rate_limit", "fast"]),
    ('start_time = "yesterday"', ["start_time", "yesterday"]),
    ("start_sequence = -1", ["start_sequence", "-1"]),
    ("start_sequence = 1 start_at_end = true", ["start_"]),
    ('filter_subject = {"a..b"}', ["filter_subject", "a..b"]),
    ('target_subject_prefix = "a b"', ["target_subject_prefix"]),
    ('name = "no.dots*"', ["name"]),
    ("on_reject = dead_letter", ["dead_letter_subject"]),
    ('target_tls { cert = "/nonexistent.pem" }', ["target_tls"]),
    ("ephemeral = maybe", ["ephemeral", "maybe"]),
])
def test_wrong_setting_in_a_topic(check, line, words):
    r, done = check(with_line(line))
    assert done.returncode == 78, done
    assert f"{r.conf}:7: " in done.stderr and 'topic "t"' in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("line", [
    "workers = 2", "queued = true", 'queue_group = "g"',
    "target_topic = x", "source_cluster_id = x", 'topic = x',
    'choria { seed_file = "/x" }'])
def test_settings_of_later_versions_are_refused(check, line):
    """Never accepted in silence."""
    r, done = check(with_line(line))
    assert done.returncode == 78 and "not supported in this version" in done.stderr, done
    assert f"{r.conf}:7" in done.stderr


@pytest.mark.parametrize("line", [
    "inspect_force_field = urgent", "inspect_duration = 1h", "age = 1h", "warn_duration = 12m",
    "size_trigger = 100", "gossip = true", 'advisory { subject = "x.%s" }'])
def test_settings_of_sampling_need_an_inspector(check, line):
    """Nor what would have no effect."""
    r, done = check(with_line(line))
    assert done.returncode == 78 and "inspect_field" in done.stderr, done
    assert f"{r.conf}:7" in done.stderr
    _, done = check(with_line(f"inspect_field = sender inspect_duration = 2h {line}"
                              .replace("inspect_duration = 2h inspect_duration", "inspect_duration")
                              .replace("inspect_duration = 2h age", "age")))
    assert done.returncode == 0, done


@pytest.mark.parametrize("line", ['monitor = "127.0.0.1:9100"'])
def test_top_level_settings_of_later_versions_are_refused(check, line):
    _, done = check(line + "\n" + with_line(""))
    assert done.returncode == 78 and "not supported in this version" in done.stderr, done


def test_all_errors_at_once(check):
    r, done = check(with_line("max_inflight = many\n    on_reject = never\n    bogus = 2"))
    assert done.returncode == 78
    for line in (7, 8, 9):
        assert f"{r.conf}:{line}: " in done.stderr


@pytest.mark.parametrize("text, words", [
    ("", ["name"]),
    ("name = HERE\ntopic t {\n}\n", ["stream", "source_url"]),
    ('name = HERE\ntopic t {\n stream = S\n source_url = "foo"\n target_url = "nats://x"\n}\n',
     ["source_url", "scheme"]),
    (with_line("") + with_line("").split("\n", 2)[2], ["t"]),
    ('name = "${SR_TEST_UNSET_NAME}"\n', ["SR_TEST_UNSET_NAME"]),
    ('name = "HERE"\ninclude("/nonexistent.conf")\n', ["/nonexistent.conf"]),
    ('name = "HERE', []),
    ("name = HERE }\n", []),
    ("name = HERE\ntopic t {\n stream = S\n filter_subject = orders.*\n}\n", ["*"]),
])
def test_wrong_file(check, text, words):
    r, done = check(text)
    assert done.returncode == 78 and done.stderr.startswith(r.conf + ":"), done
    for word in words:
        assert word in done.stderr


def test_same_source_and_target(check):
    _, done = check(with_line("").replace("4223", "4222"))
    assert done.returncode == 78, "the same stream of the same system"
    _, done = check(with_line("target_stream = OTHER").replace("4223", "4222"))
    assert done.returncode == 0


def test_mapping_that_cannot_work(check):
    _, done = check(with_line('filter_subject = {"a.b"} target_subject_remove = "a.b"'))
    assert done.returncode == 78 and "target_subject_remove" in done.stderr


def test_run_refuses_too(scene):
    r = scene.prepare({"t": {"stream": "S"}})
    done = r.command("run")
    assert done.returncode == 78 and "source_url" in done.stderr


def test_missing_file(scene):
    r = scene.prepare({})
    os.unlink(r.conf)
    done = r.command("check")
    assert done.returncode == 78 and r.conf in done.stderr


def test_print_can_be_read_again(check, scene):
    more = 'filter_subject = {"a.*", "b.>"} rate_limit = "10MiB/s" start_delta = 90m target_tls { }'
    _, done = check(with_line(more).replace("nats://127", "nats://u:p@127"), "--print")
    assert done.returncode == 0, done.stderr
    assert "u:p@" not in done.stdout and "********" in done.stdout
    again = scene.prepare({})
    again.write(done.stdout)
    second = again.command("check", "--print")
    assert second.returncode == 0 and second.stdout == done.stdout
