/* What the files of the sampler's simulation share: the stream, and the model of the rules. */
#ifndef SR_TESTS_SAMPLER_SIM_H
#define SR_TESTS_SAMPLER_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/advisory.h"

enum {
	SS_VALUES = 6,
	SS_MESSAGES = 4000,
	SS_EVENTS = 2000,
	SS_SPANS = 80,
	SS_STEP_MS = 250,
	SS_LATE_MS = 3000, /* for messages stored before a value expires */
};

struct ss_rules {
	int64_t duration_ms, warn_ms;
	uint64_t size_trigger;
};
/* The message of sequence i + 1 of the source. */
struct ss_message {
	int v;
	int64_t stored_ms;
	uint32_t size;
	bool forced;
	bool rejects; /* the target refuses it: seen, never copied */
};
struct ss_stream {
	struct ss_message m[SS_MESSAGES];
	uint32_t count;
};

/* Times listened to, as plain spans. */
struct ss_record {
	struct {
		int64_t from, to;
	} span[SS_SPANS];
	int count;
};
void ss_record_add(struct ss_record *r, int64_t from, int64_t to);
/* How much of the time after since was listened to, up to until. */
int64_t ss_record_sum(const struct ss_record *r, int64_t since, int64_t until);
int64_t ss_record_end(const struct ss_record *r);

struct ss_event {
	enum advisory_event event;
	int v;
	int64_t at_ms;
	bool raised;
	int term; /* of the lead in which it was raised last */
};
/* What is known of a value's sender. */
struct ss_sender {
	bool known, advised;
	int64_t seen_ms;
};

/*
 * The rules, from the whole history and without any table: whether a message is copied follows from all
 * messages before it; events follow from what is settled, and from the spans of listening of whoever leads.
 */
struct ss_model {
	struct ss_rules rules;
	const struct ss_stream *stream;
	const char *const *names;
	bool copy[SS_MESSAGES];
	uint32_t decided;
	uint64_t settled;
	int leader;
	struct ss_record record; /* the leader's */
	struct ss_sender senders[SS_VALUES];
	struct {
		int64_t at_ms; /* when silence was last told of, and who did */
		int node;
		/* A successor did not know of it. UINT64_MAX, or the first message after that: who does not
		 * know that either goes by what it knows. 0: no. */
		uint64_t disputed;
	} told[SS_VALUES];
	struct ss_event events[SS_EVENTS];
	int event_count;
};
/* The splay of that value, by the rule. */
int64_t ss_due_ms(const struct ss_model *m, int v);
bool ss_copies(struct ss_model *m, uint64_t seq);
void ss_settle(struct ss_model *m, uint64_t seq);
/* One message of a sender is settled. */
void ss_hear(struct ss_model *m, uint64_t seq);
/* pending(arg, v): a message of it is in flight. */
void ss_tick(struct ss_model *m, int64_t now_ms, bool (*pending)(void *arg, int v), void *arg);
/* NULL if it was never to be. */
struct ss_event *ss_find(struct ss_model *m, enum advisory_event event, int v, int64_t at_ms);
/* The last message of v up to there; NULL if there is none. The time of its copy, 0 for none. */
const struct ss_message *ss_last(const struct ss_model *m, int v, uint64_t seq);
int64_t ss_last_copied(struct ss_model *m, int v, uint64_t seq);

#endif
