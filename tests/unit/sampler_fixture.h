/*
 * What the tests of the sampler share: a sampler over a fake clock, with a duration of 1,000 s (splay up to
 * 100 s), a warning after 400 s and a size trigger of 50 bytes. Sequences count up by themselves; times are
 * seconds since a day of 2026.
 */
#ifndef SR_TESTS_SAMPLER_FIXTURE_H
#define SR_TESTS_SAMPLER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"
#include "tests/unit/unit.h"
#include "worker/sampler.h"

#define EPOCH_MS INT64_C(1767225600000)
#define DURATION 1000
#define WARN     400
#define ALL      UINT64_MAX

static struct sampler *s;
static struct strbuf events; /* "new a 5; timeout a 405; " with at_ms in s */
static bool reliable;
static int64_t wall, mono_ms;
static uint64_t seq;

static inline bool
advise(void *arg, const struct advisory *a)
{
	(void)arg;
	strbuf_addf(&events, "%s %s %lld; ", advisory_event_name(a->event), a->value,
		    (long long)(a->at_ms - EPOCH_MS) / 1000);
	return reliable;
}

static inline void
make(uint32_t max_values, bool gossip)
{
	const struct sampler_rules rules = {DURATION * 1000, WARN * 1000, 50, max_values, gossip};
	const struct sampler_callbacks callbacks = {advise};

	sampler_free(&s);
	s = sampler_new(&rules, 7, &callbacks, NULL);
}

static inline void
setup(void)
{
	strbuf_init(&events);
	reliable = false;
	wall = EPOCH_MS;
	mono_ms = 1000;
	seq = 0;
	make(1000, true);
	sampler_recall_end(s, wall);
}

static inline void
teardown(void)
{
	sampler_free(&s);
	strbuf_fini(&events);
}

static inline int64_t
ms(int64_t sec)
{
	return EPOCH_MS + sec * 1000;
}

static inline void
happened(const char *what)
{
	ck_assert_str_eq(events.data, what);
	strbuf_reset(&events);
}

static inline void
value_of(const char *text, struct sample_value *v)
{
	sample_value_make(text, strlen(text), v);
}

static inline enum sampler_verdict
offer_as(uint64_t as, const char *value, int64_t stored_ms, uint64_t size, bool forced, bool must_copy)
{
	const struct sampler_message m = {as, stored_ms, size, forced, must_copy};
	struct sample_value v;

	value_of(value, &v);
	return sampler_offer(s, &v, &m, wall > stored_ms ? wall : stored_ms);
}

static inline enum sampler_verdict
offer(const char *value, int64_t stored_s, uint64_t size)
{
	return offer_as(++seq, value, ms(stored_s), size, false, false);
}

static inline enum sampler_verdict
settle(const char *value, int64_t stored_s, uint64_t size)
{
	enum sampler_verdict verdict = offer(value, stored_s, size);

	sampler_settled(s, seq, seq);
	return verdict;
}

/* Time goes on to then, in quarters of seconds, with ticks; listening or not. */
static inline void
run(int64_t to_s, bool leads, bool listens)
{
	while (wall < ms(to_s)) {
		wall += 250;
		mono_ms += 250;
		listening_set(sampler_listening(s), listens, wall, (struct mono){mono_ms * 1000000});
		while (sampler_tick(s, leads, wall))
			;
	}
}

static inline void
lead_to(int64_t to_s)
{
	run(to_s, true, true);
}

/* The next row: "a seen copied size", with " advised" or " forgotten"; "" for none. */
static inline const char *
take(enum tracker_queue q)
{
	static char text[400];
	struct proto_sample row;

	if (!sampler_take(s, q, &row))
		return "";
	ck_assert_uint_eq(strlen(row.value), row.value_len);
	if (row.forgotten)
		snprintf(text, sizeof text, "%s forgotten", row.value);
	else
		snprintf(text, sizeof text, "%s %lld %lld %u%s", row.value,
			 (long long)(row.seen_ms - EPOCH_MS) / 1000,
			 row.copied_ms > 0 ? (long long)(row.copied_ms - EPOCH_MS) / 1000 : -1, row.size,
			 row.advised ? " advised" : "");
	return text;
}

static inline void
take_all(void)
{
	while (*take(TRACKER_STATE_DB) != '\0')
		;
	while (*take(TRACKER_GOSSIP) != '\0')
		;
}

static inline bool
merge(const char *value, int64_t seen_s, int64_t copied_s, uint32_t size, bool advised)
{
	const struct proto_sample row = {.value = value,
					 .value_len = strlen(value),
					 .seen_ms = ms(seen_s),
					 .copied_ms = copied_s < 0 ? 0 : ms(copied_s),
					 .size = size,
					 .advised = advised};

	return sampler_merge(s, &row, wall);
}

static inline struct sampler_figures
figures(void)
{
	struct sampler_figures f;

	sampler_figures(s, &f);
	return f;
}

static inline TCase *
add_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(suite, tc);
	return tc;
}

#endif
