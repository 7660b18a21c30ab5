# Fuzz targets. With --enable-fuzzers (CC=clang) they are libFuzzer programs, which tests/fuzz/run builds and
# runs. Without, tests/fuzz/driver.c makes each one a test that goes once through its corpus.
fuzz_ldadd = libsrsupervisor.a libsrstate.a libsrcommon.a $(CONFUSE_LIBS) $(EVENT_LIBS) $(NATS_LIBS) \
	$(JANSSON_LIBS) $(CRYPTO_LIBS) $(SQLITE_LIBS) $(LIBS)

fuzz_targets = \
	tests/fuzz/fuzz_advisory \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_control \
	tests/fuzz/fuzz_election \
	tests/fuzz/fuzz_endpoint \
	tests/fuzz/fuzz_gossip \
	tests/fuzz/fuzz_header \
	tests/fuzz/fuzz_inspect \
	tests/fuzz/fuzz_jsack \
	tests/fuzz/fuzz_jsapi \
	tests/fuzz/fuzz_json_scan \
	tests/fuzz/fuzz_origin \
	tests/fuzz/fuzz_presence \
	tests/fuzz/fuzz_proto \
	tests/fuzz/fuzz_rawmsg \
	tests/fuzz/fuzz_sample_note
check_PROGRAMS += $(fuzz_targets)

if ENABLE_FUZZERS
fuzz_driver = tests/fuzz/fuzz.h
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
else
fuzz_driver = tests/fuzz/driver.c tests/fuzz/fuzz.h
fuzz_ldflags = $(AM_LDFLAGS)
TESTS += $(fuzz_targets)
endif

tests_fuzz_fuzz_advisory_SOURCES = tests/fuzz/fuzz_advisory.c $(fuzz_driver)
tests_fuzz_fuzz_advisory_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_advisory_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(fuzz_driver)
tests_fuzz_fuzz_conf_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c $(fuzz_driver)
tests_fuzz_fuzz_control_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_control_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_election_SOURCES = tests/fuzz/fuzz_election.c $(fuzz_driver)
tests_fuzz_fuzz_election_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_election_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_endpoint_SOURCES = tests/fuzz/fuzz_endpoint.c $(fuzz_driver)
tests_fuzz_fuzz_endpoint_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_endpoint_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_gossip_SOURCES = tests/fuzz/fuzz_gossip.c $(fuzz_driver)
tests_fuzz_fuzz_gossip_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_gossip_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_header_SOURCES = tests/fuzz/fuzz_header.c $(fuzz_driver)
tests_fuzz_fuzz_header_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_header_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_inspect_SOURCES = tests/fuzz/fuzz_inspect.c $(fuzz_driver)
tests_fuzz_fuzz_inspect_LDADD = libsrworker.a $(fuzz_ldadd)
tests_fuzz_fuzz_inspect_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_jsack_SOURCES = tests/fuzz/fuzz_jsack.c $(fuzz_driver)
tests_fuzz_fuzz_jsack_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_jsack_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_jsapi_SOURCES = tests/fuzz/fuzz_jsapi.c $(fuzz_driver)
tests_fuzz_fuzz_jsapi_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_jsapi_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_json_scan_SOURCES = tests/fuzz/fuzz_json_scan.c $(fuzz_driver)
tests_fuzz_fuzz_json_scan_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_json_scan_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_origin_SOURCES = tests/fuzz/fuzz_origin.c $(fuzz_driver)
tests_fuzz_fuzz_origin_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_origin_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_presence_SOURCES = tests/fuzz/fuzz_presence.c $(fuzz_driver)
tests_fuzz_fuzz_presence_LDADD = libsrworker.a $(fuzz_ldadd)
tests_fuzz_fuzz_presence_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_proto_SOURCES = tests/fuzz/fuzz_proto.c $(fuzz_driver)
tests_fuzz_fuzz_proto_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_proto_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_rawmsg_SOURCES = tests/fuzz/fuzz_rawmsg.c $(fuzz_driver)
tests_fuzz_fuzz_rawmsg_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_rawmsg_LDFLAGS = $(fuzz_ldflags)

tests_fuzz_fuzz_sample_note_SOURCES = tests/fuzz/fuzz_sample_note.c $(fuzz_driver)
tests_fuzz_fuzz_sample_note_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_sample_note_LDFLAGS = $(fuzz_ldflags)

.PHONY: fuzzers
fuzzers: $(fuzz_targets)

EXTRA_DIST += \
	tests/fuzz/advisory.dict \
	tests/fuzz/conf.dict \
	tests/fuzz/corpus \
	tests/fuzz/header.dict \
	tests/fuzz/inspect.dict \
	tests/fuzz/jsapi.dict \
	tests/fuzz/json_scan.dict \
	tests/fuzz/presence.dict \
	tests/fuzz/run
