/*
 * Gossip about last-seen values: its subjects, the item that existing peers read and write, and what nodes of
 * this program say to each other besides. Pure.
 *
 * The subject is choria.stream-replicator.sync.<stream>.<topic> for items, one JSON object a message, and
 * with
 *
 * - .position behind it each second: up to where a leader's items are whole;
 * - .snapshot for requests of nodes that join;
 * - .snapshot.<nonce>.<token> for requests for a page.
 *
 * Everything that comes from the network is checked; unknown fields are passed over.
 */
#ifndef SR_COMMON_GOSSIP_H
#define SR_COMMON_GOSSIP_H

#include "common/error.h"
#include "common/proto.h"
#include "common/sample_note.h"
#include "common/sample_value.h"
#include "common/strbuf.h"

#define GOSSIP_SUBJECT_PREFIX "choria.stream-replicator.sync."
#define GOSSIP_ITEM_MAX       8192  /* bytes of an item; a longer one is refused unread */
#define GOSSIP_HEAD_MAX       16384 /* of a position, and of the first line of a page */

/* suffix: "", ".position", ".snapshot". What a subject cannot hold of the names becomes '_'. */
void gossip_subject(const char *stream, const char *topic, const char *suffix, struct strbuf *out);

/* ---- items ----------------------------------------------------------------------------------------- */

/*
 * {"seen":…,"copied":…,"advised":true,"size":…,"value":…}, RFC 3339 times in UTC without needless zeros;
 * never copied is 0001-01-01T00:00:00Z, and advised is left out if false: byte by byte what existing peers
 * write. By hand, as it is the hot path of gossip. Not for a forgotten row: there is no word for that.
 */
void gossip_item_write(const struct proto_sample *row, struct strbuf *out);
/*
 * 0 with *row, whose value points into *value; -1 with *e: it makes no sense. A value that is longer or odder
 * than ours are is brought to our form. Refused are an item that was never seen, and times before 1970; how
 * far in the future a time may be is the business of whoever has a clock.
 */
int gossip_item_read(const char *text, size_t len, struct proto_sample *row, struct sample_value *value,
		     struct error *e);

/* ---- numbers --------------------------------------------------------------------------------------- */

/* Names one life of a sender: letters and digits. */
#define GOSSIP_NONCE_MAX 32
struct gossip_nonce {
	char text[GOSSIP_NONCE_MAX + 1];
};
bool gossip_nonce_equal(const struct gossip_nonce *a, const struct gossip_nonce *b);

/* Items of this program have a header line "Choria-SR-Gossip: <nonce> <number>": 1, 2, 3, … in that life.
 * Appends that line. */
#define GOSSIP_HEADER "Choria-SR-Gossip"
void gossip_number_write(const struct gossip_nonce *nonce, uint64_t number, struct strbuf *out);
enum gossip_numbered { GOSSIP_NUMBERED, GOSSIP_NOT_NUMBERED, GOSSIP_NUMBER_ODD };
/* headers: raw block, NULL for none. */
enum gossip_numbered gossip_number_read(const char *headers, size_t len, struct gossip_nonce *nonce,
					uint64_t *number);

/* ---- positions ------------------------------------------------------------------------------------- */

/*
 * With all items up to number, everything up to the note is known. Rounds count the marks that notes belong
 * to: a row that waits for its advisory is in no snapshot, and a mark that was made before does not know that
 * somebody has not got it. So a note counts for who has a snapshot of an earlier round.
 */
struct gossip_position {
	struct gossip_nonce nonce;
	uint64_t number;
	uint64_t round;    /* of a page: of the last mark before it */
	bool leaves;       /* the sender's last word as a leader */
	bool has_note;     /* else only the number is said */
	bool note_refused; /* reading: there was a note that cannot be used */
	struct sample_note note;
};
void gossip_position_write(const struct gossip_position *p, struct strbuf *out);
int gossip_position_read(const char *text, size_t len, struct gossip_position *p, struct error *e);

/* ---- pages of a snapshot --------------------------------------------------------------------------- */

/*
 * A page is text of lines: the head, an object {"nonce","number","leader","note","next"}, and then an item a
 * line, so that a reader can take a few at a time. The answer to the first request, an offer, has no items.
 * Number and note are as of before the items of that page were read from the table.
 */
struct gossip_page {
	struct gossip_position from; /* leaves is not used */
	bool leader;
	char next[GOSSIP_NONCE_MAX + 1]; /* token of the next page; "" for none */
};
/* With the end of its line. */
void gossip_page_write(const struct gossip_page *p, struct strbuf *out);
/* *used: where the items begin. */
int gossip_page_read(const char *text, size_t len, struct gossip_page *p, size_t *used, struct error *e);

#endif
