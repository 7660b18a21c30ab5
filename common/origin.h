/*
 * The origin header: which source message a copy was made of. Its format is known to existing users:
 *
 *     Choria-SR-Source: <stream> <source-seq> <site name> <topic name> <ms since epoch>
 *
 * ms is when the source stored the message. The existing Go tool may write -1 for sequence and time.
 * Names hold no blanks; a reader takes exactly five fields. Pure.
 */
#ifndef SR_COMMON_ORIGIN_H
#define SR_COMMON_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORIGIN_HEADER          "Choria-SR-Source"
#define ORIGIN_PREVIOUS_HEADER "Choria-SR-Previous-Source"
#define ORIGIN_PATH_HEADER     "Choria-SR-Path"
#define ORIGIN_MSG_ID_HEADER   "Choria-SR-Msg-Id"
#define ORIGIN_VALUE_HEADER    "Choria-SR-Value" /* of a sampled copy that does not show its value otherwise */

struct origin {
	char stream[256];
	int64_t seq; /* -1: not known */
	char site[256];
	char topic[256];
	int64_t stored_ms; /* since the epoch; -1: not known */
};

/* The value (without name). Returns 0, or -1 if it has not that form; never reads past len. */
int origin_parse(const char *value, size_t len, struct origin *o);
/* Writes the value; returns its length, or -1 if it does not fit. */
int origin_format(const struct origin *o, char *out, size_t out_size);
/* From a raw header block (as received); the last one counts. 0, or -1 if there is none that parses. */
int origin_from_headers(const char *block, size_t len, struct origin *o);

/* Whether it is of a topic: the stream, a known sequence, and site and topic by these names or by those of
 * adopt ("site:topic", "" for none). */
bool origin_is_ours(const struct origin *o, const char *stream, const char *site, const char *topic,
		    const char *adopt);

#endif
