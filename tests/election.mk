# Tests of elections: values and buckets as pure code, and buckets and electors on real servers.
if HAVE_CHECK
election_tests = \
	test_bucket \
	test_elector \
	test_election_bucket \
	test_election_value
check_PROGRAMS += $(election_tests)
TESTS += $(election_tests)

test_bucket_SOURCES = tests/unit/test_bucket.c $(unit_sources) $(server_sources)
test_bucket_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_bucket_LDADD = $(WORKER_UNIT_LDADD)

test_elector_SOURCES = tests/unit/test_elector.c tests/unit/electors.c tests/unit/electors.h \
	$(unit_sources) $(server_sources)
test_elector_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_elector_LDADD = $(WORKER_UNIT_LDADD)

test_election_bucket_SOURCES = tests/unit/test_election_bucket.c $(unit_sources)
test_election_bucket_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_election_bucket_LDADD = $(UNIT_LDADD)

test_election_value_SOURCES = tests/unit/test_election_value.c $(unit_sources)
test_election_value_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_election_value_LDADD = $(UNIT_LDADD)
endif
