# Unit tests: one program a module, each with tests/unit/main.c; `make check` runs them.
# System tests, fuzz targets and benchmarks have makefile fragments of their own.

UNIT_LDADD = libsrcommon.a $(CONFUSE_LIBS) $(EVENT_LIBS) $(NATS_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) \
	$(CHECK_LIBS) $(LIBS)
unit_sources = tests/unit/main.c tests/unit/unit.h

include tests/advisory.mk
include tests/conf.mk
include tests/nats.mk
include tests/worker.mk
include tests/election.mk
include tests/gossip.mk

if HAVE_CHECK
unit_tests = \
	test_channel \
	test_clock \
	test_command \
	test_compare \
	test_control \
	test_elections \
	test_endpoint \
	test_header \
	test_jsack \
	test_json_scan \
	test_leaders \
	test_log \
	test_origin \
	test_proto \
	test_proto_sample \
	test_reload \
	test_restart \
	test_sample_note \
	test_sample_value \
	test_state \
	test_listing \
	test_state_outbox \
	test_state_samples \
	test_status_table \
	test_step_down \
	test_siphash \
	test_subject \
	test_supervisor \
	test_supervisor_samples \
	test_totals \
	test_units
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)

test_clock_SOURCES = tests/unit/test_clock.c $(unit_sources)
test_clock_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_clock_LDADD = $(UNIT_LDADD)
test_channel_SOURCES = tests/unit/test_channel.c $(unit_sources)
test_channel_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_channel_LDADD = $(UNIT_LDADD)

test_log_SOURCES = tests/unit/test_log.c $(unit_sources)
test_log_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_log_LDADD = $(UNIT_LDADD)

test_proto_SOURCES = tests/unit/test_proto.c $(unit_sources)
test_proto_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_proto_LDADD = $(UNIT_LDADD)

test_proto_sample_SOURCES = tests/unit/test_proto_sample.c $(unit_sources)
test_proto_sample_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_proto_sample_LDADD = $(UNIT_LDADD)

test_endpoint_SOURCES = tests/unit/test_endpoint.c $(unit_sources)
test_endpoint_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_endpoint_LDADD = $(UNIT_LDADD)

test_siphash_SOURCES = tests/unit/test_siphash.c $(unit_sources)
test_siphash_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_siphash_LDADD = $(UNIT_LDADD)

test_subject_SOURCES = tests/unit/test_subject.c $(unit_sources)
test_subject_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_subject_LDADD = $(UNIT_LDADD)

test_units_SOURCES = tests/unit/test_units.c $(unit_sources)
test_units_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_units_LDADD = $(UNIT_LDADD)

test_header_SOURCES = tests/unit/test_header.c $(unit_sources)
test_header_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_header_LDADD = $(UNIT_LDADD)

test_jsack_SOURCES = tests/unit/test_jsack.c $(unit_sources)
test_jsack_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_jsack_LDADD = $(UNIT_LDADD)

test_json_scan_SOURCES = tests/unit/test_json_scan.c $(unit_sources)
test_json_scan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_json_scan_LDADD = $(UNIT_LDADD)

test_sample_value_SOURCES = tests/unit/test_sample_value.c $(unit_sources)
test_sample_value_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_sample_value_LDADD = $(UNIT_LDADD)

test_origin_SOURCES = tests/unit/test_origin.c $(unit_sources)
test_origin_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_origin_LDADD = $(UNIT_LDADD)

# The supervisor's parts, and the user's commands.
test_command_SOURCES = tests/unit/test_command.c $(unit_sources)
test_command_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_command_LDADD = libsradmin.a $(UNIT_LDADD)

test_control_SOURCES = tests/unit/test_control.c $(unit_sources)
test_control_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_control_LDADD = libsrsupervisor.a $(UNIT_LDADD)

test_leaders_SOURCES = tests/unit/test_leaders.c $(unit_sources)
test_leaders_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_leaders_LDADD = libsrsupervisor.a $(UNIT_LDADD)

test_listing_SOURCES = tests/unit/test_listing.c $(unit_sources)
test_listing_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_listing_LDADD = libsradmin.a $(UNIT_LDADD)

test_status_table_SOURCES = tests/unit/test_status_table.c $(unit_sources)
test_status_table_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_status_table_LDADD = libsradmin.a $(UNIT_LDADD)

test_step_down_SOURCES = tests/unit/test_step_down.c $(unit_sources)
test_step_down_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_step_down_LDADD = libsradmin.a $(UNIT_LDADD)

test_sample_note_SOURCES = tests/unit/test_sample_note.c $(unit_sources)
test_sample_note_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_sample_note_LDADD = $(UNIT_LDADD)

test_restart_SOURCES = tests/unit/test_restart.c $(unit_sources)
test_restart_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_restart_LDADD = libsrsupervisor.a $(UNIT_LDADD)

test_totals_SOURCES = tests/unit/test_totals.c $(unit_sources)
test_totals_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_totals_LDADD = libsrsupervisor.a $(UNIT_LDADD)

# These run the real supervisor with a worker that replicates nothing.
check_PROGRAMS += fake_worker
fake_worker_SOURCES = tests/unit/fake_worker.c tests/unit/fake_worker.h tests/unit/fake_elector.c \
	tests/unit/fake_sampler.c
fake_worker_LDADD = libsrcommon.a $(EVENT_LIBS) $(JANSSON_LIBS)
daemon_sources = tests/unit/daemon.c tests/unit/daemon.h
DAEMON_LDADD = libsradmin.a $(UNIT_LDADD)

test_elections_SOURCES = tests/unit/test_elections.c $(unit_sources) $(daemon_sources)
test_elections_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_elections_LDADD = $(DAEMON_LDADD) $(SQLITE_LIBS)

test_reload_SOURCES = tests/unit/test_reload.c $(unit_sources) $(daemon_sources)
test_reload_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_reload_LDADD = $(DAEMON_LDADD)

test_supervisor_SOURCES = tests/unit/test_supervisor.c $(unit_sources) $(daemon_sources)
test_supervisor_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_supervisor_LDADD = $(DAEMON_LDADD)

test_supervisor_samples_SOURCES = tests/unit/test_supervisor_samples.c $(unit_sources) $(daemon_sources)
test_supervisor_samples_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_supervisor_samples_LDADD = $(DAEMON_LDADD) $(SQLITE_LIBS)

test_compare_SOURCES = tests/unit/test_compare.c $(unit_sources)
test_compare_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_compare_LDADD = libsradmin.a $(UNIT_LDADD)

dbtest_sources = tests/unit/dbtest.c tests/unit/dbtest.h
test_state_SOURCES = tests/unit/test_state.c $(unit_sources) $(dbtest_sources)
test_state_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_state_LDADD = libsrstate.a $(UNIT_LDADD) $(SQLITE_LIBS)

test_state_outbox_SOURCES = tests/unit/test_state_outbox.c $(unit_sources) $(dbtest_sources)
test_state_outbox_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_state_outbox_LDADD = libsrstate.a $(UNIT_LDADD) $(SQLITE_LIBS)

test_state_samples_SOURCES = tests/unit/test_state_samples.c $(unit_sources) $(dbtest_sources)
test_state_samples_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_state_samples_LDADD = libsrstate.a $(UNIT_LDADD) $(SQLITE_LIBS)
endif
