# Tests of advisories: their form, those that wait, and their sending to nats-servers of its own on loopback.
if HAVE_CHECK
advisory_tests = \
	test_advisor \
	test_advisory \
	test_outbox
check_PROGRAMS += $(advisory_tests)
TESTS += $(advisory_tests)

test_advisor_SOURCES = tests/unit/test_advisor.c $(unit_sources) $(server_sources)
test_advisor_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_advisor_LDADD = $(WORKER_UNIT_LDADD)

test_advisory_SOURCES = tests/unit/test_advisory.c $(unit_sources)
test_advisory_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_advisory_LDADD = $(UNIT_LDADD)

test_outbox_SOURCES = tests/unit/test_outbox.c $(unit_sources)
test_outbox_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_outbox_LDADD = $(WORKER_UNIT_LDADD)
endif
