/*
 * Time. Monotonic time is a type of its own, so that it cannot be mixed with wall-clock time;
 * policy code takes the time as an argument and never reads a clock.
 */
#ifndef SR_COMMON_CLOCK_H
#define SR_COMMON_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC; the same for all processes of one machine. */
struct mono {
	int64_t ns;
};

struct mono mono_now(void);

static inline struct mono
mono_add_ms(struct mono t, int64_t ms)
{
	return (struct mono){t.ns + ms * 1000000};
}

/* later - earlier, in milliseconds, rounded towards zero */
static inline int64_t
mono_ms_between(struct mono earlier, struct mono later)
{
	return (later.ns - earlier.ns) / 1000000;
}

static inline bool
mono_reached(struct mono now, struct mono deadline)
{
	return now.ns >= deadline.ns;
}

/* Milliseconds since the epoch, UTC. */
int64_t wall_ms(void);

#define RFC3339_SIZE 32
/* "2026-01-02T03:04:05.678Z" into buf (RFC3339_SIZE bytes at least); returns buf. */
const char *rfc3339_format(char *buf, size_t size, int64_t epoch_ms);

/*
 * Parses the RFC 3339 times that servers and people write: any number of fraction digits, "Z" or an
 * offset. Returns 0 and sets *epoch_ns (nanoseconds since the epoch, UTC), or -1.
 */
int rfc3339_parse(const char *text, int64_t *epoch_ns);

#endif
