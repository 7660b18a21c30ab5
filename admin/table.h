/*
 * A table for people: cells under heads, lines below a row, and what gives way where the screen is narrow.
 * Pure: values in, text out. Texts are made fit for a terminal here, whoever they come from.
 */
#ifndef SR_ADMIN_TABLE_H
#define SR_ADMIN_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

struct table_column {
	const char *head;
	bool right;     /* numbers */
	unsigned drops; /* 0: never; else in this order, 1 first, where the table is too wide */
	size_t max;     /* characters of a cell, the rest is cut; 0: any */
};

struct table;

/* columns is borrowed, and must outlive it. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table **t);

void table_hide(struct table *t, size_t column);
/* Begins a row; all its cells are "-". */
void table_row(struct table *t);
/* Of the row begun last. color: "" or an escape sequence. */
void table_cell(struct table *t, size_t column, const char *color, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A line below the row begun last. */
void table_below(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* width: of the screen in characters, 0 for any. Lines below rows are broken there between words. */
void table_print(const struct table *t, size_t width, struct strbuf *out);

/* Characters, not bytes. */
size_t table_width(const char *text);
/* Appends text in lines of at most width characters (0: any), each behind indent blanks. */
void table_wrap(struct strbuf *out, const char *text, size_t indent, size_t width);

#endif
