/* Allocation that cannot fail: without memory the process says so and aborts; its supervisor, or the
 * system's, starts it again. */
#ifndef SR_COMMON_XALLOC_H
#define SR_COMMON_XALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
