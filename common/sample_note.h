/*
 * Up to where what is known of a topic's values is whole: in state.db beside the rows, and in gossip. The
 * text is one JSON object; unknown fields are passed over. Pure.
 */
#ifndef SR_COMMON_SAMPLE_NOTE_H
#define SR_COMMON_SAMPLE_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/strbuf.h"

/* Times in which nobody listened: in them no sender could be heard, so they do not count as silence. */
struct listening_gap {
	int64_t from_ms, to_ms; /* since the epoch */
};
#define LISTENING_GAPS 64 /* kept; of more, two become one */

struct sample_note {
	int64_t source_created_ns; /* identity of the source stream */
	uint64_t source_seq;       /* all messages up to here are in */
	int64_t target_created_ns;
	uint64_t target_seq;                       /* all copies up to here are in */
	uint32_t inspector;                        /* what names the values (inspect_identity); 0: not said */
	int64_t heard_ms;                          /* last moment of listening */
	struct listening_gap gaps[LISTENING_GAPS]; /* gap_count of them, in order, before heard_ms */
	size_t gap_count;
};

/* Appends one JSON object, below 4 KiB. */
void sample_note_write(const struct sample_note *note, struct strbuf *out);
/*
 * 0, or -1 with *e: it is damaged, or of another kind. Numbers come from a file or the network, so they are
 * checked: what is read holds all that the struct promises. *note is all zeros after a failure.
 */
int sample_note_read(const char *text, size_t len, struct sample_note *note, struct error *e);

#endif
