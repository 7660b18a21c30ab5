# System tests: the real programs and real nats-server processes. They are many and take minutes, so they
# are not part of `make check` but run by `make check-system`; PYTEST_ARGS picks some:
#
#     make check-system PYTEST_ARGS='test_copy.py -k odd'
#     NATS_SERVER=/path/to/nats-server make check-system
#     make soak MINUTES=5 SEED=17
#
# pytest-xdist, where it is installed, runs four tests at a time: most of their time they wait.

EXTRA_DIST += \
	tests/system/conftest.py \
	tests/system/soak.py \
	tests/system/soak_sampling.py \
	tests/system/lib/__init__.py \
	tests/system/lib/advisories.py \
	tests/system/lib/audit.py \
	tests/system/lib/bucket.py \
	tests/system/lib/certs.py \
	tests/system/lib/commits.py \
	tests/system/lib/gopeer.py \
	tests/system/lib/gossip.py \
	tests/system/lib/nats.py \
	tests/system/lib/nkeys.py \
	tests/system/lib/nodes.py \
	tests/system/lib/odd.py \
	tests/system/lib/pipe.py \
	tests/system/lib/proc.py \
	tests/system/lib/proxy.py \
	tests/system/lib/replicator.py \
	tests/system/lib/sampling.py \
	tests/system/lib/server.py \
	tests/system/lib/writer.py \
	tests/system/test_advisories.py \
	tests/system/test_bucket.py \
	tests/system/test_cluster.py \
	tests/system/test_commands.py \
	tests/system/test_config.py \
	tests/system/test_connect.py \
	tests/system/test_copy.py \
	tests/system/test_election.py \
	tests/system/test_go_peer.py \
	tests/system/test_gossip.py \
	tests/system/test_harness.py \
	tests/system/test_heartbeat.py \
	tests/system/test_kill.py \
	tests/system/test_late.py \
	tests/system/test_links.py \
	tests/system/test_partitions.py \
	tests/system/test_refusals.py \
	tests/system/test_reload.py \
	tests/system/test_role.py \
	tests/system/test_sample_state.py \
	tests/system/test_sampling.py \
	tests/system/test_sampling_faults.py \
	tests/system/test_sampling_verbs.py \
	tests/system/test_source.py \
	tests/system/test_start.py \
	tests/system/test_state.py \
	tests/system/test_subjects.py \
	tests/system/test_target.py \
	tests/system/test_tls.py \
	tests/system/test_verify.py \
	tests/system/test_writers.py

# The first python3 that has pytest and xdist, or pytest at least: a machine may have several.
system_python = `for want in 'pytest, xdist' pytest; do for p in $${PYTHON:-python3} /usr/bin/python3; do \
	$$p -c "import $$want" 2>/dev/null && { echo $$p; exit; }; done; done; echo python3`
system_env = SR_BUILDDIR='$(abs_top_builddir)' NATS_SERVER="$${NATS_SERVER:-$(NATS_SERVER)}" \
	PYTHONDONTWRITEBYTECODE=1

# ALONE=1: one test at a time.
check-system: all $(check_PROGRAMS)
	@python=$(system_python); parallel=; \
	test -z "$$ALONE" && $$python -c 'import xdist' 2>/dev/null && parallel='-n 4 --dist load'; \
	cd '$(srcdir)/tests/system' && $(system_env) $$python -m pytest -q -o cache_dir='$(abs_builddir)/.pytest_cache' \
	  $$parallel $(PYTEST_ARGS)

# Random faults; MODE=cluster takes two clusters of three servers, MODE=election three nodes for one topic.
soak: all $(check_PROGRAMS)
	@python=$(system_python); $(system_env) $$python '$(srcdir)/tests/system/soak.py' \
	  --minutes $${MINUTES:-5} $${SEED:+--seed $$SEED} $${MODE:+--mode $$MODE} $(SOAK_ARGS)

.PHONY: check-system soak
