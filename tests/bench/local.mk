# Benchmarks, and the link with delay and faults that the system tests use too.

check_PROGRAMS += tests/bench/delay_proxy
tests_bench_delay_proxy_SOURCES = tests/bench/delay_proxy.c
