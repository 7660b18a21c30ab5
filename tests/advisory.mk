# Tests of advisories: their form, those that wait, and their sending to nats-servers of its own on loopback.
if HAVE_CHECK
advisory_tests = \
	test_advisory
check_PROGRAMS += $(advisory_tests)
TESTS += $(advisory_tests)

test_advisory_SOURCES = tests/unit/test_advisory.c $(unit_sources)
test_advisory_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_advisory_LDADD = $(UNIT_LDADD)
endif
