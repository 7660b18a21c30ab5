# Tests of the configuration; the golden ones read tests/config, and SR_GOLDEN_UPDATE=1 writes what they expect anew.
if HAVE_CHECK
conf_tests = \
	test_conf \
	test_conf_golden \
	test_conf_sampling \
	test_election_plan
check_PROGRAMS += $(conf_tests)
TESTS += $(conf_tests)

test_conf_SOURCES = tests/unit/test_conf.c $(unit_sources)
test_conf_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_conf_LDADD = $(UNIT_LDADD)

test_conf_golden_SOURCES = tests/unit/test_conf_golden.c $(unit_sources)
test_conf_golden_CPPFLAGS = $(AM_CPPFLAGS) -DSR_TEST_CONFIG_DIR='"$(abs_top_srcdir)/tests/config"'
test_conf_golden_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_conf_golden_LDADD = $(UNIT_LDADD)

test_conf_sampling_SOURCES = tests/unit/test_conf_sampling.c $(unit_sources)
test_conf_sampling_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_conf_sampling_LDADD = $(UNIT_LDADD)

test_election_plan_SOURCES = tests/unit/test_election_plan.c $(unit_sources)
test_election_plan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_election_plan_LDADD = $(UNIT_LDADD)
endif

EXTRA_DIST += tests/config
