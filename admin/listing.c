/*
 * Lists for people and programs, row by row: for what has a million of them, or no end. Runs in the user's
 * commands. Whatever the values are, a line of the table stays a line and drives no terminal.
 */
#include "admin/listing.h"

#include <stdlib.h>
#include <string.h>

#include "admin/table.h"
#include "common/strbuf.h"
#include "common/text.h"

#define GAP "  "

void
listing_init(struct listing *l, FILE *out, enum listing_form form, const struct listing_column *columns,
	     size_t column_count)
{
	*l = (struct listing){.out = out, .form = form, .columns = columns, .column_count = column_count};
}

static bool
written(struct listing *l)
{
	l->rows++;
	if (l->live)
		fflush(l->out);
	return ferror(l->out) == 0;
}

/* Nothing is padded behind the last column. */
static void
add_cell(struct strbuf *line, const struct listing_column *column, const char *text, bool last)
{
	struct strbuf clean;
	size_t width, pad;

	strbuf_init(&clean);
	text_clean(&clean, text, strlen(text));
	width = table_width(clean.data);
	pad = column->width > width ? column->width - width : 0;
	if (column->right)
		strbuf_addf(line, "%*s", (int)pad, "");
	strbuf_add(line, clean.data, clean.len);
	if (!column->right && !last)
		strbuf_addf(line, "%*s", (int)pad, "");
	strbuf_fini(&clean);
}

static void
write_line(struct listing *l, const char *const *cells)
{
	struct strbuf line;

	strbuf_init(&line);
	for (size_t i = 0; i < l->column_count; i++) {
		if (i > 0)
			strbuf_adds(&line, GAP);
		add_cell(&line, &l->columns[i], cells != NULL ? cells[i] : l->columns[i].head,
			 i + 1 == l->column_count);
	}
	strbuf_adds(&line, "\n");
	fwrite(line.data, 1, line.len, l->out);
	strbuf_fini(&line);
}

bool
listing_cells(struct listing *l, const char *const *cells)
{
	if (l->rows == 0)
		write_line(l, NULL);
	write_line(l, cells);
	return written(l);
}

bool
listing_object(struct listing *l, json_t *o)
{
	char *text = json_dumps(o, l->form == LISTING_LINES ? JSON_COMPACT : 0);

	json_decref(o);
	if (l->form == LISTING_ARRAY)
		fputs(l->rows == 0 ? "[\n  " : ",\n  ", l->out);
	fputs(text != NULL ? text : "null", l->out);
	if (l->form == LISTING_LINES)
		fputs("\n", l->out);
	free(text);
	return written(l);
}

bool
listing_end(struct listing *l, const char *nothing_text)
{
	if (l->form == LISTING_ARRAY)
		fputs(l->rows == 0 ? "[]\n" : "\n]\n", l->out);
	else if (l->form == LISTING_TABLE && l->rows == 0)
		fprintf(l->out, "%s\n", nothing_text);
	return fflush(l->out) == 0 && ferror(l->out) == 0;
}
