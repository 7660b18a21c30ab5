/* Lists of values and advisories, as they are printed for people and for programs; and where to look. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/advisory_rows.h"
#include "admin/far_ends.h"
#include "admin/sample_rows.h"
#include "admin/values.h"
#include "tests/unit/unit.h"

/* 2026-03-01T10:00:00Z */
#define NOW_MS INT64_C(1772359200000)

static FILE *out;
static char printed[8192];
static struct listing listing;
static struct listing_column columns[SAMPLE_COLUMNS];

static void
setup(void)
{
	setenv("TZ", "TST-2", 1); /* two hours before UTC's */
	tzset();
	out = tmpfile();
	sample_columns(columns, 8);
}

static void
teardown(void)
{
	fclose(out);
}

static const char *
text(void)
{
	rewind(out);
	printed[fread(printed, 1, sizeof printed - 1, out)] = '\0';
	return printed;
}

static void
begin(enum listing_form form, bool heard)
{
	size_t first = heard ? SAMPLE_HEARD : SAMPLE_TOPIC;

	listing_init(&listing, out, form, columns + first, SAMPLE_COLUMNS - first);
}

static struct proto_sample
sample(const char *value)
{
	return (struct proto_sample){.value = value,
				     .value_len = strlen(value),
				     .seen_ms = NOW_MS,
				     .copied_ms = NOW_MS - 1500,
				     .size = 1234,
				     .advised = true};
}

START_TEST(samples_for_people)
{
	struct proto_sample a = sample("host.a"), b = sample("bad\x1b[31m\n");

	begin(LISTING_TABLE, false);
	b.copied_ms = 0;
	b.advised = false;
	ck_assert(sample_row(&listing, 0, "fleet", &a));
	ck_assert(sample_row(&listing, 0, "a_longer_topic", &b));
	ck_assert(listing_end(&listing, "none"));
	ck_assert_str_eq(
	    text(),
	    "TOPIC     SEEN                 COPIED                  SIZE  ADVISED  VALUE\n"
	    "fleet     2026-03-01 12:00:00  2026-03-01 11:59:58    1,234  silent   host.a\n"
	    "a_longer_topic  2026-03-01 12:00:00  -                      1,234  -        bad\\x1b[31m\\n\n");
}
END_TEST

START_TEST(heard_samples_for_people)
{
	struct proto_sample a = sample("v");

	begin(LISTING_TABLE, true);
	ck_assert(sample_row(&listing, NOW_MS + 1000, "t", &a));
	ck_assert_ptr_nonnull(strstr(text(), "TIME"));
	ck_assert_ptr_nonnull(strstr(printed, "2026-03-01 12:00:01  t         2026-03-01 12:00:00"));
}
END_TEST

START_TEST(samples_for_programs)
{
	struct proto_sample a = sample("a\"b"), b = sample("\xff");
	json_t *list, *o;

	begin(LISTING_ARRAY, false);
	b.copied_ms = 0;
	b.advised = false;
	ck_assert(sample_row(&listing, 0, "t", &a));
	ck_assert(sample_row(&listing, 0, "t", &b));
	ck_assert(listing_end(&listing, "none"));
	list = json_loads(text(), 0, NULL);
	ck_assert_uint_eq(json_array_size(list), 2);
	o = json_array_get(list, 0);
	ck_assert_uint_eq(json_object_size(o), 6);
	ck_assert_str_eq(values_text(o, "topic"), "t");
	ck_assert_str_eq(values_text(o, "value"), "a\"b");
	ck_assert_str_eq(values_text(o, "seen"), "2026-03-01T10:00:00.000Z");
	ck_assert_str_eq(values_text(o, "copied"), "2026-03-01T09:59:58.500Z");
	ck_assert_int_eq((int)values_number(o, "size"), 1234);
	ck_assert(json_is_true(json_object_get(o, "advised")));
	o = json_array_get(list, 1);
	ck_assert_str_eq(values_text(o, "value"), "\\xff");
	ck_assert(json_is_null(json_object_get(o, "copied")));
	ck_assert(json_is_false(json_object_get(o, "advised")));
	json_decref(list);
}
END_TEST

START_TEST(heard_samples_for_programs)
{
	struct proto_sample a = sample("v");
	json_t *o;

	begin(LISTING_LINES, true);
	ck_assert(sample_row(&listing, NOW_MS, "t", &a));
	ck_assert(sample_row(&listing, NOW_MS, "t", &a));
	ck_assert(listing_end(&listing, "none"));
	ck_assert_ptr_nonnull(strchr(text(), '\n'));
	*strchr(printed, '\n') = '\0';
	o = json_loads(printed, 0, NULL);
	ck_assert_str_eq(values_text(o, "time"), "2026-03-01T10:00:00.000Z");
	ck_assert_uint_eq(json_object_size(o), 7);
	json_decref(o);
}
END_TEST

START_TEST(nothing_is_something_too)
{
	begin(LISTING_ARRAY, false);
	ck_assert(listing_end(&listing, "none"));
	ck_assert_str_eq(text(), "[]\n");
	rewind(out);
	begin(LISTING_TABLE, false);
	ck_assert(listing_end(&listing, "none at all"));
	ck_assert_str_eq(text(), "none at all\n");
	begin(LISTING_LINES, false);
	ck_assert(listing_end(&listing, "none"));
	ck_assert_str_eq(text(), "none at all\n");
}
END_TEST

/* Whoever reads a million rows may go away. */
START_TEST(tells_when_nobody_reads)
{
	struct proto_sample a = sample("v");
	FILE *full = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(full);
	listing_init(&listing, full, LISTING_LINES, columns, SAMPLE_COLUMNS);
	listing.live = true;
	ck_assert(!sample_row(&listing, NOW_MS, "t", &a));
	ck_assert(!listing_end(&listing, "none"));
	fclose(full);
}
END_TEST

/* ---- advisories ------------------------------------------------------------------------------------ */

static char name[] = "host.a", site[] = "US-EAST", id[] = "0ujsszgFvbiEr7CDgE3z8MAUPFt", nothing[] = "";

static struct advisory_read
advisory(void)
{
	return (struct advisory_read){.event = ADVISORY_EVENT_TIMEOUT,
				      .value = name,
				      .replicator = site,
				      .event_id = id,
				      .seen_s = NOW_MS / 1000 - 725,
				      .timestamp_s = NOW_MS / 1000,
				      .age_s = 725};
}

START_TEST(advisories_for_people)
{
	struct advisory_read a = advisory();

	advisory_rows_init(&listing, out, LISTING_TABLE);
	ck_assert(advisory_row(&listing, &a));
	ck_assert_str_eq(
	    text(), "TIME                 EVENT          AGE  SEEN                 BY            VALUE\n"
		    "2026-03-01 12:00:00  timeout   12 m 5 s  2026-03-01 11:47:55  US-EAST       host.a\n");
}
END_TEST

static json_t *
only_object(void)
{
	json_t *list = json_loads(text(), 0, NULL), *o = json_incref(json_array_get(list, 0));

	ck_assert_uint_eq(json_array_size(list), 1);
	json_decref(list);
	return o;
}

START_TEST(advisories_for_programs)
{
	struct advisory_read a = advisory();
	json_t *o;

	advisory_rows_init(&listing, out, LISTING_ARRAY);
	ck_assert(advisory_row(&listing, &a) && listing_end(&listing, ""));
	o = only_object();
	ck_assert_uint_eq(json_object_size(o), 7);
	ck_assert_str_eq(values_text(o, "time"), "2026-03-01T10:00:00.000Z");
	ck_assert_str_eq(values_text(o, "event"), "timeout");
	ck_assert_str_eq(values_text(o, "value"), "host.a");
	ck_assert_str_eq(values_text(o, "seen"), "2026-03-01T09:47:55.000Z");
	ck_assert(json_is_integer(json_object_get(o, "age")) && (int)values_number(o, "age") == 725);
	ck_assert_str_eq(values_text(o, "replicator"), "US-EAST");
	ck_assert_str_eq(values_text(o, "event_id"), id);
	json_decref(o);
}
END_TEST

/* Anybody can write into a stream. */
START_TEST(senseless_fields_are_not_known)
{
	struct advisory_read a = advisory();
	json_t *o;

	a.timestamp_s = INT64_MAX;
	a.seen_s = INT64_MIN;
	a.age_s = -1;
	a.replicator = nothing;
	a.event_id = nothing;
	advisory_rows_init(&listing, out, LISTING_ARRAY);
	ck_assert(advisory_row(&listing, &a) && listing_end(&listing, ""));
	o = only_object();
	ck_assert(json_is_null(json_object_get(o, "time")));
	ck_assert(json_is_null(json_object_get(o, "seen")));
	ck_assert(json_is_null(json_object_get(o, "age")));
	ck_assert(json_is_null(json_object_get(o, "replicator")));
	ck_assert(json_is_null(json_object_get(o, "event_id")));
	json_decref(o);
}
END_TEST

START_TEST(fractions_of_ages_stay)
{
	struct advisory_read a = advisory();
	json_t *o;

	a.age_s = 1.5;
	advisory_rows_init(&listing, out, LISTING_ARRAY);
	ck_assert(advisory_row(&listing, &a) && listing_end(&listing, ""));
	o = only_object();
	ck_assert(json_real_value(json_object_get(o, "age")) > 1.4);
	json_decref(o);
}
END_TEST

/* ---- where ----------------------------------------------------------------------------------------- */

#define SAMPLED " inspect_field = f inspect_duration = 1h "

START_TEST(each_end_is_looked_at_once)
{
	static const char conf_text[] =
	    "name = x\n"
	    "topic a { stream = A source_url = \"nats://s\" target_url = \"nats://t\"" SAMPLED
	    "advisory { subject = a } }\n"
	    "topic b { stream = B source_url = \"nats://s\" target_url = \"nats://t\"" SAMPLED
	    "advisory { subject = a cluster = target } }\n"
	    "topic c { stream = C source_url = \"nats://s\" target_url = \"nats://t\"" SAMPLED
	    "advisory { subject = a } }\n"
	    "topic d { stream = D source_url = \"nats://t\" target_url = \"nats://s\"" SAMPLED
	    "advisory { subject = a } }\n"
	    "topic e { stream = E source_url = \"nats://s\" source_domain = d target_url = "
	    "\"nats://t\"" SAMPLED "}\n"
	    "topic f { stream = F source_url = \"nats://other\" target_url = \"nats://t\" }\n";
	struct conf_errors errors;
	struct conf *c = conf_load_text(conf_text, sizeof conf_text - 1, &errors);
	struct far_end ends[6];

	ck_assert_msg(c != NULL, "%s", errors.count > 0 ? errors.text[0] : "");
	ck_assert_uint_eq(far_ends_of_advisories(c, ends), 2);
	ck_assert_ptr_eq(ends[0].topic, &c->topics[0]);
	ck_assert_int_eq(ends[0].side, SESSION_SOURCE);
	ck_assert_ptr_eq(ends[1].topic, &c->topics[1]);
	ck_assert_int_eq(ends[1].side, SESSION_TARGET);
	ck_assert_uint_eq(far_ends_of_gossip(c, ends), 3); /* that with the domain is another */
	ck_assert_ptr_eq(ends[1].topic, &c->topics[3]);
	ck_assert_ptr_eq(ends[2].topic, &c->topics[4]);
	conf_errors_fini(&errors);
	conf_free(&c);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("listing");
	TCase *t = tcase_create("listing");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, samples_for_people);
	tcase_add_test(t, heard_samples_for_people);
	tcase_add_test(t, samples_for_programs);
	tcase_add_test(t, heard_samples_for_programs);
	tcase_add_test(t, nothing_is_something_too);
	tcase_add_test(t, tells_when_nobody_reads);
	tcase_add_test(t, advisories_for_people);
	tcase_add_test(t, advisories_for_programs);
	tcase_add_test(t, senseless_fields_are_not_known);
	tcase_add_test(t, fractions_of_ages_stay);
	tcase_add_test(t, each_end_is_looked_at_once);
	suite_add_tcase(s, t);
	return s;
}
