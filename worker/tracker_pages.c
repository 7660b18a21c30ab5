/*
 * Memory of the tracker's entries. Each entry is followed by its value, so that finding one touches one place
 * in memory; entries of one size share pages of 64 KiB. A page that holds nothing any more serves any size
 * again: senders who change the lengths of their names do not make it grow. Nothing is given back before the
 * end. Pure; the file of the tracker that knows where an entry is.
 */
#include <stdlib.h>
#include <string.h>

#include "common/sample_value.h"
#include "common/xalloc.h"
#include "worker/tracker_internal.h"

#define PAGE_BYTES (65536u - 16u) /* 64 KiB with what malloc adds */
#define ENTRY_STEP 8u

#define ENTRY_BYTES(len)                                                                                     \
	((offsetof(struct tracker_entry, value) + (len) + 1 + ENTRY_STEP - 1) & ~(size_t)(ENTRY_STEP - 1))

_Static_assert(ENTRY_STEP >= _Alignof(struct tracker_entry), "entries must be aligned");
_Static_assert(PAGE_BYTES / ENTRY_BYTES(1) < 1u << TRACKER_INDEX_BITS,
	       "a page has more entries than an id can say");
_Static_assert((ENTRY_BYTES(SAMPLE_VALUE_MAX) - ENTRY_BYTES(1)) / ENTRY_STEP < TRACKER_CLASSES,
	       "too few sizes");

static uint32_t *
room_of(struct tracker_pages *p, uint32_t entry_bytes)
{
	return &p->room[(entry_bytes - ENTRY_BYTES(1)) / ENTRY_STEP];
}

static bool
has_room(const struct tracker_page *page)
{
	return page->used < PAGE_BYTES / page->entry_bytes;
}

static void
room_link(struct tracker_pages *p, uint32_t number)
{
	struct tracker_page *page = &p->pages[number];
	uint32_t *head = room_of(p, page->entry_bytes);

	page->prev = TRACKER_NONE;
	page->next = *head;
	if (*head != TRACKER_NONE)
		p->pages[*head].prev = number;
	*head = number;
}

static void
room_unlink(struct tracker_pages *p, uint32_t number)
{
	struct tracker_page *page = &p->pages[number];

	if (page->prev == TRACKER_NONE)
		*room_of(p, page->entry_bytes) = page->next;
	else
		p->pages[page->prev].next = page->next;
	if (page->next != TRACKER_NONE)
		p->pages[page->next].prev = page->prev;
}

/* A page that holds nothing: one from the pool, else a new one. TRACKER_NONE if there may be no more. */
static uint32_t
empty_page(struct tracker_pages *p)
{
	uint32_t number = p->pool;

	if (number != TRACKER_NONE) {
		p->pool = p->pages[number].next;
		return number;
	}
	if (p->count == TRACKER_PAGES_MAX)
		return TRACKER_NONE;
	if (p->count == p->cap) {
		p->cap = p->cap == 0 ? 16 : p->cap * 2;
		p->pages = xrealloc(p->pages, p->cap * sizeof *p->pages);
	}
	p->pages[p->count].base = xmalloc(PAGE_BYTES);
	return p->count++;
}

static uint32_t
page_with_room(struct tracker_pages *p, uint32_t entry_bytes)
{
	uint32_t number = *room_of(p, entry_bytes);

	if (number != TRACKER_NONE)
		return number;
	number = empty_page(p);
	if (number == TRACKER_NONE)
		return TRACKER_NONE;
	struct tracker_page *page = &p->pages[number];

	page->entry_bytes = entry_bytes;
	page->made = page->used = 0;
	page->free = TRACKER_NONE;
	room_link(p, number);
	return number;
}

void
tracker_pages_init(struct tracker_pages *p)
{
	*p = (struct tracker_pages){.pool = TRACKER_NONE};
	for (size_t i = 0; i < TRACKER_CLASSES; i++)
		p->room[i] = TRACKER_NONE;
}

void
tracker_pages_fini(struct tracker_pages *p)
{
	for (uint32_t i = 0; i < p->count; i++)
		free(p->pages[i].base);
	free(p->pages);
}

struct tracker_entry *
tracker_pages_take(struct tracker_pages *p, size_t value_len)
{
	uint32_t number = page_with_room(p, (uint32_t)ENTRY_BYTES(value_len));

	if (number == TRACKER_NONE)
		return NULL;
	struct tracker_page *page = &p->pages[number];
	uint32_t id = number << TRACKER_INDEX_BITS | (page->free == TRACKER_NONE ? page->made : page->free);
	struct tracker_entry *e = tracker_pages_get(p, id);

	if (page->free == TRACKER_NONE)
		page->made++;
	else
		page->free = e->next;
	page->used++;
	if (!has_room(page))
		room_unlink(p, number);
	memset(e, 0, offsetof(struct tracker_entry, value));
	e->id = id;
	e->value_len = (uint8_t)value_len;
	return e;
}

void
tracker_pages_give(struct tracker_pages *p, struct tracker_entry *e)
{
	uint32_t number = e->id >> TRACKER_INDEX_BITS;
	struct tracker_page *page = &p->pages[number];

	if (!has_room(page))
		room_link(p, number);
	e->value_len = 0;
	e->next = page->free;
	page->free = e->id & TRACKER_INDEX_MASK;
	if (--page->used > 0)
		return;
	room_unlink(p, number);
	page->entry_bytes = 0;
	page->made = 0;
	page->next = p->pool;
	p->pool = number;
}

struct tracker_entry *
tracker_pages_at(const struct tracker_pages *p, uint32_t id)
{
	uint32_t number = id >> TRACKER_INDEX_BITS;

	if (number >= p->count || (id & TRACKER_INDEX_MASK) >= p->pages[number].made)
		return NULL;
	struct tracker_entry *e = tracker_pages_get(p, id);

	return e->value_len == 0 ? NULL : e;
}

/* At most one page has to be searched for an entry: those that hold nothing are passed at once. */
struct tracker_entry *
tracker_pages_next(const struct tracker_pages *p, uint64_t *cursor)
{
	uint64_t number = *cursor >> TRACKER_INDEX_BITS;
	uint64_t index = *cursor & TRACKER_INDEX_MASK;

	for (; number < p->count; number++, index = 0) {
		for (; index < p->pages[number].made; index++) {
			struct tracker_entry *e =
			    tracker_pages_get(p, (uint32_t)(number << TRACKER_INDEX_BITS | index));

			if (e->value_len != 0) {
				*cursor = (number << TRACKER_INDEX_BITS | index) + 1;
				return e;
			}
		}
	}
	*cursor = number << TRACKER_INDEX_BITS;
	return NULL;
}

size_t
tracker_pages_bytes(const struct tracker_pages *p)
{
	return p->count * ((size_t)PAGE_BYTES + 16) + p->cap * sizeof *p->pages;
}
