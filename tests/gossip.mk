# Tests of gossip: its texts and its book-keeping as pure code, and gossipers on real servers.
if HAVE_CHECK
gossip_tests = \
	test_gossip \
	test_gossip_peers \
	test_gossip_sampler \
	test_gossiper
check_PROGRAMS += $(gossip_tests)
TESTS += $(gossip_tests)

test_gossip_SOURCES = tests/unit/test_gossip.c $(unit_sources)
test_gossip_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_gossip_LDADD = $(UNIT_LDADD)

test_gossip_peers_SOURCES = tests/unit/test_gossip_peers.c $(unit_sources)
test_gossip_peers_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_gossip_peers_LDADD = $(WORKER_UNIT_LDADD)

test_gossip_sampler_SOURCES = tests/unit/test_gossip_sampler.c $(unit_sources) $(server_sources)
test_gossip_sampler_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_gossip_sampler_LDADD = $(WORKER_UNIT_LDADD)

# With a table in place of the sampler.
test_gossiper_SOURCES = tests/unit/test_gossiper.c tests/unit/plain_table.c tests/unit/plain_table.h \
	$(unit_sources) $(server_sources)
test_gossiper_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_gossiper_LDADD = $(WORKER_UNIT_LDADD)
endif
