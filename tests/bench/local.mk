# Benchmarks (`make bench`, some minutes; BENCH_ARGS='--only speed --json figures.json'), and the link with
# delay and faults that the system tests use too.

EXTRA_DIST += tests/bench/run.py tests/bench/elections.py tests/bench/sampling.py

check_PROGRAMS += tests/bench/delay_proxy
tests_bench_delay_proxy_SOURCES = tests/bench/delay_proxy.c

bench: all $(check_PROGRAMS)
	@$(system_env) python3 '$(srcdir)/tests/bench/run.py' $(BENCH_ARGS)

.PHONY: bench

# Only when asked for: make tests/bench/bench_conn
EXTRA_PROGRAMS += tests/bench/bench_conn
tests_bench_bench_conn_SOURCES = tests/bench/bench_conn.c
tests_bench_bench_conn_LDADD = $(UNIT_LDADD)

# As above: make tests/bench/bench_skip
EXTRA_PROGRAMS += tests/bench/bench_skip
tests_bench_bench_skip_SOURCES = tests/bench/bench_skip.c
tests_bench_bench_skip_LDADD = $(WORKER_UNIT_LDADD)
