/*
 * One error value for the whole project.
 *
 * A function that can fail returns 0/-1 (or a pointer/NULL) and fills the struct error its caller
 * passed. It does not log: the caller that can act on the error logs it, once, with its context.
 * The text reads: subject, what failed, value, cure.
 */
#ifndef SR_COMMON_ERROR_H
#define SR_COMMON_ERROR_H

#include <stdarg.h>

enum error_code {
	ERR_NONE = 0,
	ERR_USAGE,     /* wrong use of a command */
	ERR_CONFIG,    /* configuration cannot be used */
	ERR_SYSTEM,    /* a system call failed */
	ERR_IO,        /* a peer went away or did not answer */
	ERR_PROTOCOL,  /* bytes from outside make no sense */
	ERR_DENIED,    /* credentials or permissions */
	ERR_NOT_FOUND, /* what was named does not exist */
	ERR_CONFLICT,  /* exists already, or differs from what is wanted */
	ERR_STATE,     /* the state database */
	ERR_MEMORY,
};

struct error {
	enum error_code code;
	char text[768]; /* always terminated; longer texts are cut */
};

#define ERROR_INIT                                                                                           \
	{                                                                                                    \
		ERR_NONE, ""                                                                                 \
	}

/* Fills *e (which may be NULL) and returns -1, so that `return error_set(e, …)` reads well. */
int error_set(struct error *e, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the text of errno at the end. */
int error_set_errno(struct error *e, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there. Returns -1. */
int error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
