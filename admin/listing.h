/*
 * A list of any length, written as it comes: a table of columns whose widths are known before, or JSON, as
 * one array or one object a line. Nothing is kept.
 */
#ifndef SR_ADMIN_LISTING_H
#define SR_ADMIN_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum listing_form { LISTING_TABLE, LISTING_ARRAY, LISTING_LINES };

struct listing_column {
	const char *head;
	size_t width; /* characters; what is wider pushes the rest of its line */
	bool right;
};

struct listing {
	FILE *out;
	enum listing_form form;
	bool live; /* written out after each row: someone is waiting for it */
	const struct listing_column *columns;
	size_t column_count;
	uint64_t rows;
};

/* columns and out are borrowed. */
void listing_init(struct listing *l, FILE *out, enum listing_form form, const struct listing_column *columns,
		  size_t column_count);

/* A row, by its form: of cells, one for each column, made fit for a terminal here; or an object, which is
 * taken. Both return false once nothing more can be written: nobody reads. */
bool listing_cells(struct listing *l, const char *const *cells);
bool listing_object(struct listing *l, json_t *o);

/* The end of the array; of a table without rows, nothing_text instead. False if not all could be written. */
bool listing_end(struct listing *l, const char *nothing_text);

#endif
