# Tests of common/nats/. Those but test_jsapi and test_nats_parts start nats-servers of their own, on loopback.
server_sources = \
	tests/unit/jwt.h \
	tests/unit/loop.c \
	tests/unit/loop.h \
	tests/unit/nats_owner.c \
	tests/unit/nats_owner.h \
	tests/unit/odd_headers.h \
	tests/unit/server.c \
	tests/unit/server.h

if HAVE_CHECK
nats_tests = \
	test_jsapi \
	test_nats_conn \
	test_nats_loss \
	test_nats_parts \
	test_nats_tls \
	test_puller
check_PROGRAMS += $(nats_tests)
TESTS += $(nats_tests)

test_jsapi_SOURCES = tests/unit/test_jsapi.c $(unit_sources)
test_jsapi_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_jsapi_LDADD = $(UNIT_LDADD)

test_nats_conn_SOURCES = tests/unit/test_nats_conn.c $(unit_sources) $(server_sources)
test_nats_conn_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_nats_conn_LDADD = $(UNIT_LDADD)

test_nats_loss_SOURCES = tests/unit/test_nats_loss.c $(unit_sources) $(server_sources)
test_nats_loss_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_nats_loss_LDADD = $(UNIT_LDADD)

test_nats_parts_SOURCES = tests/unit/test_nats_parts.c $(unit_sources)
test_nats_parts_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_nats_parts_LDADD = $(UNIT_LDADD)

test_nats_tls_SOURCES = tests/unit/test_nats_tls.c $(unit_sources) $(server_sources)
test_nats_tls_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_nats_tls_LDADD = $(UNIT_LDADD)

test_puller_SOURCES = tests/unit/test_puller.c $(unit_sources) $(server_sources)
test_puller_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_puller_LDADD = $(UNIT_LDADD)
endif
