/*
 * The log of what is in flight: a ring of records in source order, part of the sampler. Pure memory: rules,
 * and what entries make of a record, are in sampler.c.
 *
 * It begins small and grows twofold; sampler_has_room() bounds it. It never shrinks: what was in flight once
 * will be again.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "worker/sampler_internal.h"

enum { CAP_MIN = 1024 };

void
sampler_log_fini(struct sampler_log *l)
{
	free(l->records);
	memset(l, 0, sizeof *l);
}

struct sampler_record *
sampler_log_at(const struct sampler_log *l, uint32_t i)
{
	return &l->records[(l->head + i) & (l->cap - 1)];
}

static void
grow(struct sampler_log *l)
{
	uint32_t cap = l->cap == 0 ? CAP_MIN : 2 * l->cap;
	struct sampler_record *records = xmalloc(cap * sizeof *records);

	for (uint32_t i = 0; i < l->count; i++)
		records[i] = *sampler_log_at(l, i);
	free(l->records);
	l->records = records;
	l->cap = cap;
	l->head = 0;
}

struct sampler_record *
sampler_log_push(struct sampler_log *l)
{
	if (l->count == l->cap)
		grow(l);
	l->count++;
	l->judged = l->count;
	return sampler_log_at(l, l->count - 1);
}

void
sampler_log_drop_oldest(struct sampler_log *l)
{
	l->head = (l->head + 1) & (l->cap - 1);
	l->count--;
	if (l->judged > 0)
		l->judged--;
}

void
sampler_log_drop_newest(struct sampler_log *l)
{
	l->count--;
	if (l->judged > l->count)
		l->judged = l->count;
}
