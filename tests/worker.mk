# Unit tests of the worker's pure code, and the simulation that drives it through faults.
WORKER_UNIT_LDADD = libsrworker.a $(UNIT_LDADD)

if HAVE_CHECK
worker_unit_tests = \
	test_acklist \
	test_compose \
	test_copy_value \
	test_election_sim \
	test_gap \
	test_go_consumer \
	test_heartbeat \
	test_inspect \
	test_lease \
	test_listening \
	test_pipeline \
	test_pipeline_sim \
	test_position \
	test_presence \
	test_recall_plan \
	test_refusal \
	test_sampler \
	test_sampler_rows \
	test_sampler_sim \
	test_sentlist \
	test_seqset \
	test_throttle \
	test_tracker \
	test_watchdog
check_PROGRAMS += $(worker_unit_tests)
TESTS += $(worker_unit_tests)

test_acklist_SOURCES = tests/unit/test_acklist.c $(unit_sources)
test_acklist_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_acklist_LDADD = $(WORKER_UNIT_LDADD)

test_compose_SOURCES = tests/unit/test_compose.c $(unit_sources)
test_compose_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_compose_LDADD = $(WORKER_UNIT_LDADD)

test_copy_value_SOURCES = tests/unit/test_copy_value.c $(unit_sources)
test_copy_value_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_copy_value_LDADD = $(WORKER_UNIT_LDADD)

test_election_sim_SOURCES = tests/unit/test_election_sim.c tests/unit/election_sim.h \
	tests/unit/election_sim_bucket.c tests/unit/election_sim_elector.c tests/unit/election_sim_faults.c \
	tests/unit/election_sim_node.c tests/unit/sim_locate.c tests/unit/sim_model.c tests/unit/sim_model.h \
	tests/unit/sim_worker.c tests/unit/sim_worker.h tests/unit/sim_worker_internal.h $(unit_sources)
test_election_sim_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_election_sim_LDADD = $(WORKER_UNIT_LDADD)

test_gap_SOURCES = tests/unit/test_gap.c $(unit_sources)
test_gap_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_gap_LDADD = $(WORKER_UNIT_LDADD)

test_go_consumer_SOURCES = tests/unit/test_go_consumer.c $(unit_sources)
test_go_consumer_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_go_consumer_LDADD = $(WORKER_UNIT_LDADD)

# Starts nats-servers of its own, on loopback.
test_heartbeat_SOURCES = tests/unit/test_heartbeat.c $(unit_sources) $(server_sources)
test_heartbeat_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_heartbeat_LDADD = $(WORKER_UNIT_LDADD)

test_inspect_SOURCES = tests/unit/test_inspect.c $(unit_sources)
test_inspect_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_inspect_LDADD = $(WORKER_UNIT_LDADD)

test_lease_SOURCES = tests/unit/test_lease.c $(unit_sources)
test_lease_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_lease_LDADD = $(WORKER_UNIT_LDADD)

test_listening_SOURCES = tests/unit/test_listening.c $(unit_sources)
test_listening_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_listening_LDADD = $(WORKER_UNIT_LDADD)

test_pipeline_SOURCES = tests/unit/test_pipeline.c $(unit_sources)
test_pipeline_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_pipeline_LDADD = $(WORKER_UNIT_LDADD)

test_pipeline_sim_SOURCES = tests/unit/test_pipeline_sim.c tests/unit/sim.c tests/unit/sim.h tests/unit/sim_faults.c \
	tests/unit/sim_locate.c tests/unit/sim_model.c tests/unit/sim_model.h \
	tests/unit/sim_worker.c tests/unit/sim_worker.h tests/unit/sim_worker_internal.h $(unit_sources)
test_pipeline_sim_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_pipeline_sim_LDADD = $(WORKER_UNIT_LDADD)

test_position_SOURCES = tests/unit/test_position.c $(unit_sources)
test_position_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_position_LDADD = $(WORKER_UNIT_LDADD)

test_presence_SOURCES = tests/unit/test_presence.c $(unit_sources)
test_presence_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_presence_LDADD = $(WORKER_UNIT_LDADD)

test_recall_plan_SOURCES = tests/unit/test_recall_plan.c $(unit_sources)
test_recall_plan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_recall_plan_LDADD = $(WORKER_UNIT_LDADD)

test_refusal_SOURCES = tests/unit/test_refusal.c $(unit_sources)
test_refusal_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_refusal_LDADD = $(WORKER_UNIT_LDADD)

test_sampler_SOURCES = tests/unit/test_sampler.c tests/unit/sampler_fixture.h $(unit_sources)
test_sampler_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_sampler_LDADD = $(WORKER_UNIT_LDADD)

test_sampler_rows_SOURCES = tests/unit/test_sampler_rows.c tests/unit/sampler_fixture.h $(unit_sources)
test_sampler_rows_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_sampler_rows_LDADD = $(WORKER_UNIT_LDADD)

test_sampler_sim_SOURCES = tests/unit/test_sampler_sim.c tests/unit/sampler_sim.h \
	tests/unit/sampler_sim_model.c $(unit_sources)
test_sampler_sim_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_sampler_sim_LDADD = $(WORKER_UNIT_LDADD)

test_sentlist_SOURCES = tests/unit/test_sentlist.c $(unit_sources)
test_sentlist_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_sentlist_LDADD = $(WORKER_UNIT_LDADD)

test_seqset_SOURCES = tests/unit/test_seqset.c $(unit_sources)
test_seqset_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_seqset_LDADD = $(WORKER_UNIT_LDADD)

test_throttle_SOURCES = tests/unit/test_throttle.c $(unit_sources)
test_throttle_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_throttle_LDADD = $(WORKER_UNIT_LDADD)

test_tracker_SOURCES = tests/unit/test_tracker.c tests/unit/tracker_model.c tests/unit/tracker_model.h \
	$(unit_sources)
test_tracker_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_tracker_LDADD = $(WORKER_UNIT_LDADD)

test_watchdog_SOURCES = tests/unit/test_watchdog.c $(unit_sources)
test_watchdog_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_watchdog_LDADD = $(WORKER_UNIT_LDADD)
endif

# The simulation of elections for longer: make sim RUNS=5000, or one run that failed: make sim SEED=77.
.PHONY: sim
sim:
	$(MAKE) $(AM_MAKEFLAGS) test_election_sim$(EXEEXT)
	SIM_RUNS=$(RUNS) SIM_SEED=$(SEED) ./test_election_sim$(EXEEXT)

# The simulation of sampling, the same way: make sampler-sim RUNS=5000, make sampler-sim SEED=77.
.PHONY: sampler-sim
sampler-sim:
	$(MAKE) $(AM_MAKEFLAGS) test_sampler_sim$(EXEEXT)
	SIM_RUNS=$(RUNS) SIM_SEED=$(SEED) ./test_sampler_sim$(EXEEXT)
