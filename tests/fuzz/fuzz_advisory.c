/*
 * Fuzz target: advisories of others, and subjects made of their values. What is read as one has all its
 * fields; whatever its value is, it gives a subject that is one, and a body that is read as the same again.
 */
#include <string.h>

#include "common/advisory.h"
#include "common/subject.h"
#include "tests/fuzz/fuzz.h"

static char name[] = "SITE", key[] = "topic", field[] = "a.b";

static void
check_subjects(const struct advisory *a)
{
	static const char *const patterns[] = {"%v", "a.%v", "%s.%v.%v", "a-%v-%s.b"};
	struct strbuf out;

	strbuf_init(&out);
	for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
		advisory_subject(patterns[i], a, &out);
		REQUIRE(out.len == strlen(out.data) && out.len <= ADVISORY_SUBJECT_MAX);
		REQUIRE(subject_valid(out.data));
		REQUIRE(out.data[0] != '$');
	}
	strbuf_fini(&out);
}

static void
check_body(const struct advisory *a, enum conf_advisory_schema schema)
{
	struct conf conf = {.name = name};
	struct conf_topic topic = {
	    .key = key,
	    .sampling = {.inspect = INSPECT_FIELD, .field = field, .advisory = {.schema = schema}}};
	struct advisory_read again;
	struct strbuf out;

	strbuf_init(&out);
	advisory_body(&conf, &topic, a, &out);
	REQUIRE(advisory_read(out.data, out.len, &again, NULL) == 0);
	REQUIRE(again.event == a->event && strcmp(again.value, a->value) == 0);
	REQUIRE(strlen(again.event_id) == (schema == ADVISORY_V2 ? ADVISORY_ID_SIZE - 1 : 0));
	advisory_read_fini(&again);
	strbuf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = ERROR_INIT;
	struct advisory_read r;
	struct advisory a;

	if (advisory_read((const char *)data, size, &r, &e) != 0) {
		REQUIRE(e.text[0] != '\0' && r.value == NULL);
		return 0;
	}
	REQUIRE(r.event < ADVISORY_EVENT_END && r.value[0] != '\0');
	REQUIRE(r.replicator != NULL && r.event_id != NULL);
	a = (struct advisory){
	    .event = r.event, .value = r.value, .seen_ms = 1, .at_ms = r.seen_s, .now_ms = 2};
	check_subjects(&a);
	if (strlen(r.value) <= 4096) {
		check_body(&a, ADVISORY_V2);
		check_body(&a, ADVISORY_V1);
	}
	advisory_read_fini(&r);
	return 0;
}
