/* Waiting halves, for `verify`: a hash table by sequence and a list by age over the same entries. */
#include "admin/pairing.h"

#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/xalloc.h"

#define PAIRING_SLOTS 65536

struct half *
half_new(uint64_t seq, const char *subject, const struct compare_message *m)
{
	size_t subject_len = strlen(subject);
	struct half *h = xmalloc(sizeof *h + subject_len + m->headers_len);

	*h = (struct half){.seq = seq,
			   .target_seq = m->seq,
			   .stored_ms = m->stored_ms,
			   .subject_len = subject_len,
			   .headers_len = m->headers_len};
	memcpy(h->bytes, subject, subject_len);
	if (m->headers_len > 0)
		memcpy(h->bytes + subject_len, m->headers, m->headers_len);
	digest_of(m->data, m->data_len, h->body);
	return h;
}

void
half_free(struct half **h)
{
	free(*h);
	*h = NULL;
}

size_t
half_size(const struct half *h)
{
	return sizeof *h + h->subject_len + h->headers_len;
}

uint8_t
half_difference(const struct half *source, const struct half *copy)
{
	uint8_t what = 0;

	if (source->subject_len != copy->subject_len ||
	    memcmp(source->bytes, copy->bytes, source->subject_len) != 0)
		what |= COMPARE_SUBJECT;
	if (!header_equal_after_copy(source->bytes + source->subject_len, source->headers_len,
				     copy->bytes + copy->subject_len, copy->headers_len))
		what |= COMPARE_HEADERS;
	if (memcmp(source->body, copy->body, sizeof source->body) != 0)
		what |= COMPARE_BODY;
	return what;
}

/* ---- many of them -------------------------------------------------------------------------------- */

void
pairing_init(struct pairing *p)
{
	*p = (struct pairing){.table = xcalloc(PAIRING_SLOTS, sizeof(struct half *))};
}

void
pairing_fini(struct pairing *p)
{
	while (p->oldest != NULL) {
		struct half *h = p->oldest;

		p->oldest = h->newer;
		half_free(&h);
	}
	free(p->table);
	*p = (struct pairing){0};
}

/* Sequences are dense: their low bits spread well. */
static struct half **
slot(const struct pairing *p, uint64_t seq)
{
	return &p->table[seq % PAIRING_SLOTS];
}

void
pairing_add(struct pairing *p, struct half *h)
{
	struct half **at = slot(p, h->seq);

	while (*at != NULL)
		at = &(*at)->chain;
	*at = h;
	h->chain = NULL;
	h->older = p->newest;
	h->newer = NULL;
	*(p->newest != NULL ? &p->newest->newer : &p->oldest) = h;
	p->newest = h;
	p->count++;
	p->bytes += half_size(h);
}

struct half *
pairing_find(const struct pairing *p, uint64_t seq, const struct half *after)
{
	struct half *h = after != NULL ? after->chain : *slot(p, seq);

	while (h != NULL && h->seq != seq)
		h = h->chain;
	return h;
}

void
pairing_take(struct pairing *p, struct half *h)
{
	struct half **at = slot(p, h->seq);

	while (*at != h)
		at = &(*at)->chain;
	*at = h->chain;
	*(h->older != NULL ? &h->older->newer : &p->oldest) = h->newer;
	*(h->newer != NULL ? &h->newer->older : &p->newest) = h->older;
	p->count--;
	p->bytes -= half_size(h);
}
