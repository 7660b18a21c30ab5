/* Text and bytes that grow. Always terminated by a NUL that is not counted; aborts when memory ends. */
#ifndef SR_COMMON_STRBUF_H
#define SR_COMMON_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *data; /* "" never NULL after init */
	size_t len;
	size_t cap;
};

void strbuf_init(struct strbuf *b); /* takes no memory: an empty one needs no fini */
void strbuf_fini(struct strbuf *b);
void strbuf_reset(struct strbuf *b); /* empty, keeps the memory */
void strbuf_reserve(struct strbuf *b, size_t extra);
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_adds(struct strbuf *b, const char *text);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Whether both hold the same bytes. */
bool strbuf_equal(const struct strbuf *a, const struct strbuf *b);

/* The text, which the caller now owns and frees with free(); *b is empty afterwards and
 * holds no memory. */
char *strbuf_take(struct strbuf *b);

#endif
