/*
 * Advisories: what is said when a sender is new, silent, back, or forgotten. Their JSON (two schemas that
 * existing users read), their subject, their identity. Pure.
 */
#ifndef SR_COMMON_ADVISORY_H
#define SR_COMMON_ADVISORY_H

#include "common/conf.h"
#include "common/error.h"
#include "common/strbuf.h"

enum advisory_event {
	ADVISORY_EVENT_NEW,
	ADVISORY_EVENT_TIMEOUT,
	ADVISORY_EVENT_RECOVER,
	ADVISORY_EVENT_EXPIRE,
	ADVISORY_EVENT_END
};
const char *advisory_event_name(enum advisory_event event); /* "new", "timeout", "recover", "expire" */

#define ADVISORY_ID_SIZE 28 /* 27 characters and a NUL */

struct advisory {
	enum advisory_event event;
	const char *value; /* NUL-terminated, borrowed */
	int64_t seen_ms;   /* last seen; of recover and new, when it was seen now; 0 for never */
	int64_t at_ms;     /* when it came to be: the same on every node that finds the same; orders ids */
	int64_t now_ms;    /* when it is said */
};

/*
 * The identity, the same on every node and after every crash for the same event of the same value of the same
 * topic: 27 characters 0-9A-Za-z that sort by at_ms (32 bits of seconds, then 128 of a hash), in the form
 * that existing readers know (KSUID). So a stream's duplicate window drops what two leaders have said.
 */
void advisory_id(const char *site, const char *topic, const struct advisory *a, char id[ADVISORY_ID_SIZE]);

/* Bytes of a subject at most: servers take a line of 4,096, in which an answer's subject stands too. */
#define ADVISORY_SUBJECT_MAX 3900
/*
 * The subject: pattern with %s replaced by the event and %v by the value. Dots of the value stay; blanks,
 * '*',
 * '>' and control characters of it and tokens that came out empty become '_', a '$' of it in front of all
 * too. Replaces what is in out.
 */
void advisory_subject(const char *pattern, const struct advisory *a, struct strbuf *out);
/* The JSON, in the schema that the topic's section advisory names. Replaces what is in out. */
void advisory_body(const struct conf *conf, const struct conf_topic *topic, const struct advisory *a,
		   struct strbuf *out);

/* What a reader gets out of a body of either schema. Strings are owned; they are another's text and hold
 * whatever it wrote. */
struct advisory_read {
	enum advisory_event event;
	char *value, *replicator, *event_id; /* event_id "" in v1 */
	int64_t seen_s, timestamp_s;         /* Unix seconds */
	double age_s;
};
/* 0, or -1 with *e, and nothing to free: no advisory. */
int advisory_read(const char *body, size_t len, struct advisory_read *out, struct error *e);
void advisory_read_fini(struct advisory_read *r);

#endif
