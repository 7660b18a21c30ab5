/*
 * Notes on what is whole, for state.db and gossip; written and read by replicating workers. Pure.
 *
 * A note that promises too much loses samples, so nothing in a damaged one is believed: it is refused as a
 * whole, and its reader finds out by itself what it would have said.
 */
#include "common/sample_note.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum { NOTE_MAX = 16 * 1024 }; /* a longer text is not parsed */

void
sample_note_write(const struct sample_note *note, struct strbuf *out)
{
	strbuf_addf(out, "{\"source_created\":%" PRId64 ",\"source_seq\":%" PRIu64, note->source_created_ns,
		    note->source_seq);
	strbuf_addf(out, ",\"target_created\":%" PRId64 ",\"target_seq\":%" PRIu64, note->target_created_ns,
		    note->target_seq);
	if (note->inspector != 0)
		strbuf_addf(out, ",\"inspector\":%" PRIu32, note->inspector);
	strbuf_addf(out, ",\"heard\":%" PRId64 ",\"gaps\":[", note->heard_ms);
	for (size_t i = 0; i < note->gap_count; i++)
		strbuf_addf(out, "%s[%" PRId64 ",%" PRId64 "]", i > 0 ? "," : "", note->gaps[i].from_ms,
			    note->gaps[i].to_ms);
	strbuf_adds(out, "]}");
}

/* -1 if it is not there, no integer, or below zero. */
static int64_t
number_of(const json_t *number)
{
	return json_is_integer(number) ? (int64_t)json_integer_value(number) : -1;
}

static int
read_number(const json_t *o, const char *key, int64_t *out, struct error *e)
{
	*out = number_of(json_object_get(o, key));
	return *out >= 0 ? 0 : error_set(e, ERR_PROTOCOL, "note of samples: %s is no number from 0", key);
}

/* In order, none empty, all before heard_ms. */
static int
read_gaps(const json_t *gaps, struct sample_note *note, struct error *e)
{
	int64_t before_ms = -1;

	if (!json_is_array(gaps) || json_array_size(gaps) > LISTENING_GAPS)
		return error_set(e, ERR_PROTOCOL, "note of samples: gaps is no list of at most %d",
				 LISTENING_GAPS);
	note->gap_count = json_array_size(gaps);
	for (size_t i = 0; i < note->gap_count; i++) {
		const json_t *pair = json_array_get(gaps, i);
		struct listening_gap *gap = &note->gaps[i];

		gap->from_ms = number_of(json_array_get(pair, 0));
		gap->to_ms = number_of(json_array_get(pair, 1));
		if (json_array_size(pair) != 2 || gap->from_ms <= before_ms || gap->to_ms <= gap->from_ms ||
		    gap->to_ms > note->heard_ms)
			return error_set(e, ERR_PROTOCOL,
					 "note of samples: gap %zu of %zu is none, or out of order", i + 1,
					 note->gap_count);
		before_ms = gap->to_ms;
	}
	return 0;
}

/* May be missing. */
static int
read_inspector(const json_t *number, struct sample_note *note, struct error *e)
{
	int64_t n = number != NULL ? number_of(number) : 0;

	if (n < 0 || n > UINT32_MAX)
		return error_set(e, ERR_PROTOCOL, "note of samples: inspector is no number of 32 bits");
	note->inspector = (uint32_t)n;
	return 0;
}

static int
read_object(const json_t *o, struct sample_note *note, struct error *e)
{
	int64_t source_seq, target_seq;

	if (!json_is_object(o))
		return error_set(e, ERR_PROTOCOL, "note of samples: no JSON object");
	if (read_number(o, "source_created", &note->source_created_ns, e) < 0 ||
	    read_number(o, "source_seq", &source_seq, e) < 0 ||
	    read_number(o, "target_created", &note->target_created_ns, e) < 0 ||
	    read_number(o, "target_seq", &target_seq, e) < 0 ||
	    read_number(o, "heard", &note->heard_ms, e) < 0 ||
	    read_inspector(json_object_get(o, "inspector"), note, e) < 0)
		return -1;
	note->source_seq = (uint64_t)source_seq;
	note->target_seq = (uint64_t)target_seq;
	return read_gaps(json_object_get(o, "gaps"), note, e);
}

int
sample_note_read(const char *text, size_t len, struct sample_note *note, struct error *e)
{
	json_error_t why;
	json_t *o = len <= NOTE_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &why) : NULL;
	int result;

	memset(note, 0, sizeof *note);
	result = read_object(o, note, e);
	if (result < 0)
		memset(note, 0, sizeof *note);
	json_decref(o);
	return result;
}
