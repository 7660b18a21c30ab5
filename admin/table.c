/* Layout of the tables that the user's commands print. Pure; allocates, and fails in no other way. */
#include "admin/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/xalloc.h"

#define GAP      2  /* blanks between columns */
#define MIN_TEXT 20 /* lines below a row are not broken into less */

struct cell {
	char *text;
	const char *color;
};

struct row {
	struct cell *cells;
	char **below; /* below_count of them */
	size_t below_count;
};

struct table {
	const struct table_column *columns;
	size_t count;
	bool *hidden;
	struct row *rows;
	size_t row_count;
};

struct table *
table_new(const struct table_column *columns, size_t count)
{
	struct table *t = xcalloc(1, sizeof *t);

	t->columns = columns;
	t->count = count;
	t->hidden = xcalloc(count, sizeof *t->hidden);
	return t;
}

void
table_free(struct table **table)
{
	struct table *t = *table;

	*table = NULL;
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->row_count; i++) {
		for (size_t c = 0; c < t->count; c++)
			free(t->rows[i].cells[c].text);
		for (size_t l = 0; l < t->rows[i].below_count; l++)
			free(t->rows[i].below[l]);
		free(t->rows[i].cells);
		free(t->rows[i].below);
	}
	free(t->rows);
	free(t->hidden);
	free(t);
}

void
table_hide(struct table *t, size_t column)
{
	t->hidden[column] = true;
}

void
table_row(struct table *t)
{
	struct row *row;

	t->rows = xrealloc(t->rows, (t->row_count + 1) * sizeof *t->rows);
	row = &t->rows[t->row_count++];
	*row = (struct row){.cells = xcalloc(t->count, sizeof *row->cells)};
	for (size_t c = 0; c < t->count; c++)
		row->cells[c] = (struct cell){xstrdup("-"), ""};
}

size_t
table_width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Bytes of the first characters. */
static size_t
bytes_of(const char *text, size_t characters)
{
	size_t i = 0;

	for (; text[i] != '\0'; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80 && characters-- == 0)
			break;
	return i;
}

static char *make_clean(const char *fmt, va_list ap, size_t max) __attribute__((format(printf, 1, 0)));

/* One line without anything that drives a terminal, of at most max characters (0: any). */
static char *
make_clean(const char *fmt, va_list ap, size_t max)
{
	struct strbuf raw, clean;

	strbuf_init(&raw);
	strbuf_init(&clean);
	strbuf_vaddf(&raw, fmt, ap);
	text_clean(&clean, raw.data, raw.len);
	strbuf_fini(&raw);
	if (max > 1 && table_width(clean.data) > max) {
		clean.len = bytes_of(clean.data, max - 1);
		clean.data[clean.len] = '\0';
		strbuf_adds(&clean, "…");
	}
	return strbuf_take(&clean);
}

void
table_cell(struct table *t, size_t column, const char *color, const char *fmt, ...)
{
	struct cell *cell = &t->rows[t->row_count - 1].cells[column];
	va_list ap;

	free(cell->text);
	va_start(ap, fmt);
	cell->text = make_clean(fmt, ap, t->columns[column].max);
	va_end(ap);
	cell->color = color;
}

void
table_below(struct table *t, const char *fmt, ...)
{
	struct row *row = &t->rows[t->row_count - 1];
	va_list ap;

	row->below = xrealloc(row->below, (row->below_count + 1) * sizeof *row->below);
	va_start(ap, fmt);
	row->below[row->below_count++] = make_clean(fmt, ap, 0);
	va_end(ap);
}

/* ---- printing ---- */

static size_t
column_width(const struct table *t, size_t c)
{
	size_t widest = table_width(t->columns[c].head), width;

	for (size_t i = 0; i < t->row_count; i++) {
		width = table_width(t->rows[i].cells[c].text);
		if (width > widest)
			widest = width;
	}
	return widest;
}

static size_t
total_width(const struct table *t, const size_t *widths, const bool *hidden)
{
	size_t total = 0;

	for (size_t c = 0; c < t->count; c++)
		if (!hidden[c])
			total += widths[c] + (total > 0 ? GAP : 0);
	return total;
}

/* Hides what gives way until the rest fits, or nothing more gives way. */
static void
make_fit(const struct table *t, const size_t *widths, size_t width, bool *hidden)
{
	for (unsigned order = 1; order <= t->count && total_width(t, widths, hidden) > width; order++)
		for (size_t c = 0; c < t->count; c++)
			if (t->columns[c].drops == order)
				hidden[c] = true;
}

static void
add_cell(struct strbuf *out, const char *text, const char *color, size_t to_width, bool right, bool last)
{
	size_t pad = to_width > table_width(text) ? to_width - table_width(text) : 0;

	if (right)
		strbuf_addf(out, "%*s", (int)pad, "");
	strbuf_addf(out, "%s%s%s", color, text, color[0] != '\0' ? "\033[0m" : "");
	if (!right && !last)
		strbuf_addf(out, "%*s", (int)pad, "");
}

/* row NULL: the heads. */
static void
add_row(struct strbuf *out, const struct table *t, const struct row *row, const size_t *widths,
	const bool *hidden)
{
	size_t last = 0;
	bool first = true;

	for (size_t c = 0; c < t->count; c++)
		if (!hidden[c])
			last = c;
	for (size_t c = 0; c < t->count; c++) {
		if (hidden[c])
			continue;
		if (!first)
			strbuf_addf(out, "%*s", GAP, "");
		first = false;
		add_cell(out, row != NULL ? row->cells[c].text : t->columns[c].head,
			 row != NULL ? row->cells[c].color : "", widths[c], t->columns[c].right, c == last);
	}
	strbuf_adds(out, "\n");
}

void
table_wrap(struct strbuf *out, const char *text, size_t indent, size_t width)
{
	size_t room, len, at;

	room = width > indent + MIN_TEXT ? width - indent : MIN_TEXT;
	while (width > 0 && table_width(text) > room) {
		len = bytes_of(text, room);
		for (at = len; at > 0 && text[at] != ' '; at--)
			;
		if (at == 0)
			at = len; /* one long word */
		strbuf_addf(out, "%*s%.*s\n", (int)indent, "", (int)at, text);
		text += at + (text[at] == ' ');
	}
	strbuf_addf(out, "%*s%s\n", (int)indent, "", text);
}

void
table_print(const struct table *t, size_t width, struct strbuf *out)
{
	size_t *widths = xcalloc(t->count, sizeof *widths);
	bool *hidden = xcalloc(t->count, sizeof *hidden);

	memcpy(hidden, t->hidden, t->count * sizeof *hidden);
	for (size_t c = 0; c < t->count; c++)
		widths[c] = column_width(t, c);
	if (width > 0)
		make_fit(t, widths, width, hidden);
	add_row(out, t, NULL, widths, hidden);
	for (size_t i = 0; i < t->row_count; i++) {
		add_row(out, t, &t->rows[i], widths, hidden);
		for (size_t l = 0; l < t->rows[i].below_count; l++)
			table_wrap(out, t->rows[i].below[l], widths[0] + GAP, width);
	}
	free(hidden);
	free(widths);
}
