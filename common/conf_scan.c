/*
 * Files into tokens. Everything is bounded here (bytes, tokens, depth, includes, topics), so that libconfuse
 * meets no input that it could fail on; a reload with any file leaves the process as it was.
 */
#include "common/conf_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "common/xalloc.h"

#define NAME_SHOWN_MAX 128 /* bytes of a name in a problem's text */

/* One file, or text, while it is read. */
struct source {
	struct conf_scan *scan;
	struct conf_lexer lexer;
	size_t file;
	const struct source *parent;
	dev_t device;
	ino_t inode;
	unsigned int include_depth;
};

static void scan_file(struct conf_scan *s, const char *path, const struct source *parent, unsigned int line);

void
conf_scan_init(struct conf_scan *s, struct conf_report *report)
{
	memset(s, 0, sizeof *s);
	s->report = report;
	s->sections = xcalloc(1, sizeof *s->sections);
	s->sections[0] = (struct conf_scan_section){CONF_NONE, CONF_NONE, CONF_NONE};
	s->section_count = 1;
}

void
conf_scan_fini(struct conf_scan *s)
{
	for (size_t i = 0; i < s->file_count; i++)
		free(s->files[i]);
	for (size_t i = 0; i < s->token_count; i++)
		free(s->tokens[i].text);
	free(s->files);
	free(s->tokens);
	free(s->sections);
	memset(s, 0, sizeof *s);
}

const char *
conf_scan_name(const struct conf_scan *s, size_t section)
{
	size_t name = s->sections[section].name;

	return name == CONF_NONE ? "" : s->tokens[name].text;
}

const char *
conf_scan_title(const struct conf_scan *s, size_t section)
{
	size_t title = s->sections[section].title;

	return title == CONF_NONE ? "" : s->tokens[title].text;
}

/* ---- problems -------------------------------------------------------------------------------------- */

void
conf_scan_show(const char *name, struct strbuf *out)
{
	size_t len = strlen(name), shown = text_cut(name, len, NAME_SHOWN_MAX);

	text_clean(out, name, shown);
	if (shown < len)
		strbuf_adds(out, "...");
}

/* `topic "x": source_tls: ` for a section inside of a topic. */
static void
write_context(const struct conf_scan *s, size_t section, struct strbuf *out)
{
	const struct conf_scan_section *sec = &s->sections[section];

	if (section == 0)
		return;
	write_context(s, sec->parent, out);
	conf_scan_show(conf_scan_name(s, section), out);
	if (sec->title != CONF_NONE) {
		strbuf_adds(out, " \"");
		conf_scan_show(conf_scan_title(s, section), out);
		strbuf_adds(out, "\"");
	}
	strbuf_adds(out, ": ");
}

static void
add_problem(const struct conf_scan *s, size_t at, size_t file, unsigned int line, size_t section,
	    const char *text)
{
	struct strbuf out;

	strbuf_init(&out);
	strbuf_addf(&out, "%s:%u: ", s->files[file], line);
	write_context(s, section, &out);
	strbuf_adds(&out, text);
	conf_report_add(s->report, at, strbuf_take(&out));
	strbuf_fini(&out);
}

void
conf_scan_problem(const struct conf_scan *s, size_t token, const char *fmt, ...)
{
	const struct conf_token *t = token < s->token_count ? &s->tokens[token] : NULL;
	struct strbuf text;
	va_list ap;

	strbuf_init(&text);
	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	if (t == NULL) /* an empty file has no tokens */
		add_problem(s, 0, 0, 1, 0, text.data);
	else
		add_problem(s, token, t->file, t->line, t->section, text.data);
	strbuf_fini(&text);
}

void
conf_scan_section_problem(const struct conf_scan *s, size_t section, const char *fmt, ...)
{
	const struct conf_token *t = section == 0 ? NULL : &s->tokens[s->sections[section].name];
	struct strbuf text;
	va_list ap;

	strbuf_init(&text);
	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	if (t == NULL)
		add_problem(s, 0, 0, 1, 0, text.data);
	else
		add_problem(s, s->sections[section].name, t->file, t->line, section, text.data);
	strbuf_fini(&text);
}

static size_t
current_section(const struct conf_scan *s)
{
	for (size_t i = s->depth; i > 0; i--)
		if (s->open[i - 1] != CONF_NONE)
			return s->open[i - 1];
	return 0;
}

/* Where the scanner stands. */
static void
source_problem(struct source *src, unsigned int line, const char *text)
{
	add_problem(src->scan, src->scan->token_count, src->file, line, current_section(src->scan), text);
}

static void
source_broken(struct source *src, unsigned int line, const char *text)
{
	source_problem(src, line, text);
	src->scan->broken = true;
}

/* ---- tokens and sections --------------------------------------------------------------------------- */

/* Grows by doubling: count is a power of two when the memory is full. */
static void *
grown(void *array, size_t count, size_t size)
{
	if (count != 0 && (count & (count - 1)) != 0)
		return array;
	return xrealloc(array, (count == 0 ? 1 : count * 2) * size);
}

static const struct conf_token *
token_before(const struct conf_scan *s, size_t distance)
{
	return distance <= s->token_count ? &s->tokens[s->token_count - distance] : NULL;
}

static bool
is_kind(const struct conf_token *t, enum conf_token_kind kind)
{
	return t != NULL && t->kind == kind;
}

/* A word that is no value: a name, or the title behind one. */
static bool
is_plain_word(const struct conf_token *t)
{
	return is_kind(t, CONF_TOKEN_WORD) && t->key == CONF_NONE;
}

static bool
in_list(const struct conf_scan *s)
{
	return s->depth > 0 && s->open[s->depth - 1] == CONF_NONE;
}

/* The setting that a word at this place is a value of. */
static size_t
key_of_value(const struct conf_scan *s)
{
	const struct conf_token *last = token_before(s, 1);

	if (in_list(s))
		return is_kind(last, CONF_TOKEN_OPEN) || is_kind(last, CONF_TOKEN_COMMA) ? last->key
											 : CONF_NONE;
	return is_kind(last, CONF_TOKEN_ASSIGN) || is_kind(last, CONF_TOKEN_APPEND) ? last->key : CONF_NONE;
}

/* Signs carry the key on, from the name before `=` to each value of a list. */
static size_t
key_of_sign(const struct conf_scan *s, enum conf_token_kind kind)
{
	const struct conf_token *last = token_before(s, 1);

	if (kind == CONF_TOKEN_ASSIGN || kind == CONF_TOKEN_APPEND)
		return is_plain_word(last) ? s->token_count - 1 : CONF_NONE;
	if (kind == CONF_TOKEN_OPEN && (is_kind(last, CONF_TOKEN_ASSIGN) || is_kind(last, CONF_TOKEN_APPEND)))
		return last->key;
	if ((kind == CONF_TOKEN_COMMA || kind == CONF_TOKEN_CLOSE) && in_list(s) && last != NULL)
		return last->key;
	return CONF_NONE;
}

static void
add_token(struct source *src, enum conf_token_kind kind, unsigned int line, size_t key)
{
	struct conf_scan *s = src->scan;
	struct conf_token t = {kind, line, src->file, current_section(s), key, NULL, src->lexer.bad};

	if (kind == CONF_TOKEN_WORD && src->lexer.word.len > CONF_WORD_MAX) {
		source_problem(src, line, "name or value too long, at most 16 KiB");
		t.bad = true;
		t.text = xstrndup(src->lexer.word.data, 64);
	} else if (kind == CONF_TOKEN_WORD) {
		t.text = xstrdup(src->lexer.word.data);
	}
	s->tokens = grown(s->tokens, s->token_count, sizeof *s->tokens);
	s->tokens[s->token_count++] = t;
}

/* A brace behind `name` or `name title`. */
static size_t
add_section(struct conf_scan *s)
{
	bool titled = is_plain_word(token_before(s, 2)) && is_plain_word(token_before(s, 1));
	struct conf_scan_section sec = {current_section(s), s->token_count - 1, CONF_NONE};

	if (titled) {
		sec.name = s->token_count - 2;
		sec.title = s->token_count - 1;
		s->titled++;
	}
	s->sections = grown(s->sections, s->section_count, sizeof *s->sections);
	s->sections[s->section_count] = sec;
	return s->section_count++;
}

static void
open_brace(struct source *src, unsigned int line)
{
	struct conf_scan *s = src->scan;
	size_t key = key_of_sign(s, CONF_TOKEN_OPEN), section = CONF_NONE;

	if (s->depth == CONF_DEPTH_MAX) {
		source_broken(src, line, "too many braces inside of braces");
		return;
	}
	if (key == CONF_NONE) {
		if (!is_plain_word(token_before(s, 1))) {
			source_broken(src, line, "unexpected {, want the name of a section before it");
			return;
		}
		section = add_section(s);
	}
	if (s->titled > CONF_TITLED_MAX || s->section_count > CONF_SECTIONS_MAX) {
		source_broken(src, line, "too many sections");
		return;
	}
	s->open[s->depth++] = section;
	add_token(src, CONF_TOKEN_OPEN, line, key);
}

static void
close_brace(struct source *src, unsigned int line)
{
	struct conf_scan *s = src->scan;
	size_t key = key_of_sign(s, CONF_TOKEN_CLOSE);

	if (s->depth == 0) {
		source_broken(src, line, "unexpected }, no section is open");
		return;
	}
	if (in_list(s) && is_kind(token_before(s, 1), CONF_TOKEN_OPEN) && key != CONF_NONE) {
		struct strbuf text;

		strbuf_init(&text);
		conf_scan_show(s->tokens[key].text, &text);
		strbuf_adds(&text, ": empty list, leave the setting out");
		source_problem(src, line, text.data);
		strbuf_fini(&text);
	}
	add_token(src, CONF_TOKEN_CLOSE, line, key);
	s->depth--;
}

/* From the lexer: about a value, if one is due. */
static void
lexer_problem(void *arg, unsigned int line, const char *text)
{
	struct source *src = arg;
	size_t key = key_of_value(src->scan);
	struct strbuf whole;

	strbuf_init(&whole);
	if (key != CONF_NONE) {
		conf_scan_show(src->scan->tokens[key].text, &whole);
		strbuf_adds(&whole, ": ");
	}
	strbuf_adds(&whole, text);
	source_problem(src, line, whole.data);
	strbuf_fini(&whole);
}

static void scan_include(struct source *src, unsigned int line);

static void
scan_token(struct source *src, enum conf_token_kind kind, unsigned int line)
{
	struct conf_scan *s = src->scan;
	const struct conf_token *last = token_before(s, 1);

	if (s->token_count == CONF_TOKENS_MAX)
		source_broken(src, line, "too many settings");
	else if (kind == CONF_TOKEN_OPEN)
		open_brace(src, line);
	else if (kind == CONF_TOKEN_CLOSE)
		close_brace(src, line);
	else if (kind == CONF_TOKEN_LEFT_PAREN && is_plain_word(last) && strcmp(last->text, "include") == 0)
		scan_include(src, line);
	else if (kind == CONF_TOKEN_WORD)
		add_token(src, kind, line, key_of_value(s));
	else
		add_token(src, kind, line, key_of_sign(s, kind));
}

/* A brace that the file leaves open. Every file begins outside of all: includes stand at the top level only.
 */
static void
check_closed(struct source *src)
{
	struct conf_scan *s = src->scan;
	size_t section, name;
	struct strbuf text;

	if (s->broken || s->depth == 0)
		return;
	section = s->open[0];
	if (section == CONF_NONE) {
		source_broken(src, src->lexer.line, "list without end, want } behind it");
		return;
	}
	s->broken = true;
	name = s->sections[section].name;
	strbuf_init(&text);
	conf_scan_show(s->tokens[name].text, &text);
	strbuf_adds(&text, ": section without end, want } behind it");
	add_problem(s, name, src->file, s->tokens[name].line, s->sections[section].parent, text.data);
	strbuf_fini(&text);
}

static void
scan_buffer(struct source *src, const char *data, size_t len)
{
	struct conf_lexer *l = &src->lexer;
	enum conf_lex_result result = CONF_LEX_TOKEN;
	enum conf_token_kind kind;
	unsigned int line;

	*l = (struct conf_lexer){
	    .p = data, .end = data + len, .line = 1, .problem = lexer_problem, .arg = src};
	l->environment = !src->scan->text_only;
	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		l->p += 3; /* a byte order mark */
	strbuf_init(&l->word);
	if (memchr(data, '\0', len) != NULL)
		source_broken(src, 1, "holds a NUL byte, not a text file");
	while (!src->scan->broken && (result = conf_lex_next(l, &kind, &line)) == CONF_LEX_TOKEN)
		scan_token(src, kind, line);
	if (result == CONF_LEX_BROKEN)
		src->scan->broken = true;
	check_closed(src);
	strbuf_fini(&l->word);
}

/* ---- files ----------------------------------------------------------------------------------------- */

/* Opens a regular file of bearable size, without waiting for what is none. Returns fd or -1 with *e. */
static int
open_regular(struct conf_scan *s, const char *path, struct stat *st, struct error *e)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(e, ERR_CONFIG, "cannot open the file");
	if (fstat(fd, st) != 0)
		error_set_errno(e, ERR_CONFIG, "cannot read the file");
	else if (!S_ISREG(st->st_mode))
		error_set(e, ERR_CONFIG, "not a regular file");
	else if (st->st_size > CONF_FILE_MAX || s->bytes + (size_t)st->st_size > CONF_TOTAL_MAX)
		error_set(e, ERR_CONFIG, "file too large");
	else
		return fd;
	close(fd);
	return -1;
}

/* Appends the whole file, which may grow or shrink meanwhile. 0, or -1 with *e. */
static int
read_all(int fd, struct strbuf *out, struct error *e)
{
	char chunk[16384];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(e, ERR_CONFIG, "cannot read the file");
		if (out->len + (size_t)n > CONF_FILE_MAX)
			return error_set(e, ERR_CONFIG, "file too large");
		strbuf_add(out, chunk, (size_t)n);
	}
	return 0;
}

static bool
includes_itself(const struct source *parent, const struct stat *st)
{
	for (; parent != NULL; parent = parent->parent)
		if (parent->device == st->st_dev && parent->inode == st->st_ino)
			return true;
	return false;
}

static int
load_file(struct conf_scan *s, const char *path, const struct source *parent, struct stat *st,
	  struct strbuf *out, struct error *e)
{
	int fd, rc;

	if (s->file_count == CONF_FILES_MAX || (parent != NULL && parent->include_depth == CONF_INCLUDE_MAX))
		return error_set(e, ERR_CONFIG, "too many files included");
	fd = open_regular(s, path, st, e);
	if (fd < 0)
		return -1;
	if (includes_itself(parent, st))
		rc = error_set(e, ERR_CONFIG, "the file includes itself");
	else
		rc = read_all(fd, out, e);
	close(fd);
	return rc;
}

static size_t
add_file(struct conf_scan *s, const char *path)
{
	s->files = xrealloc(s->files, (s->file_count + 1) * sizeof *s->files);
	s->files[s->file_count] = xstrdup(path);
	return s->file_count++;
}

static void
report_file(struct conf_scan *s, const char *path, const struct source *parent, unsigned int line,
	    const struct error *e)
{
	struct strbuf text;

	if (parent == NULL) {
		conf_report_add(s->report, 0, xasprintf("%s: %s", path, e->text));
		s->broken = true;
		return;
	}
	strbuf_init(&text);
	strbuf_adds(&text, "include \"");
	text_clean(&text, path, strlen(path));
	strbuf_addf(&text, "\": %s", e->text);
	add_problem(s, s->token_count, parent->file, line, 0, text.data);
	strbuf_fini(&text);
}

static void
scan_file(struct conf_scan *s, const char *path, const struct source *parent, unsigned int line)
{
	struct source src = {.scan = s, .parent = parent};
	struct error e = ERROR_INIT;
	struct strbuf data;
	struct stat st;

	strbuf_init(&data);
	if (load_file(s, path, parent, &st, &data, &e) != 0) {
		report_file(s, path, parent, line, &e);
	} else {
		s->bytes += data.len;
		src.file = add_file(s, path);
		src.device = st.st_dev;
		src.inode = st.st_ino;
		src.include_depth = parent == NULL ? 0 : parent->include_depth + 1;
		scan_buffer(&src, data.data, data.len);
	}
	strbuf_fini(&data);
}

/* The file's name as it is seen from the folder of the including file. The caller frees it. */
static char *
beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	if (name[0] == '/' || slash == NULL)
		return xstrdup(name);
	return xasprintf("%.*s/%s", (int)(slash - path), path, name);
}

/* Behind `include (`, which itself is no token of the configuration. */
static void
scan_include(struct source *src, unsigned int line)
{
	struct conf_scan *s = src->scan;
	enum conf_token_kind kind;
	unsigned int unused;
	char *name, *path;

	free(s->tokens[--s->token_count].text);
	if (conf_lex_next(&src->lexer, &kind, &unused) != CONF_LEX_TOKEN || kind != CONF_TOKEN_WORD) {
		source_broken(src, line, "include without a file, want include(\"file\")");
		return;
	}
	name = xstrdup(src->lexer.word.data);
	if (conf_lex_next(&src->lexer, &kind, &unused) != CONF_LEX_TOKEN || kind != CONF_TOKEN_RIGHT_PAREN) {
		source_broken(src, line, "include takes one file, want include(\"file\")");
	} else if (s->text_only || s->depth > 0) {
		source_problem(src, line, "include can stand at the top level of a file only");
	} else {
		path = beside(s->files[src->file], name);
		scan_file(s, path, src, line);
		free(path);
	}
	free(name);
}

void
conf_scan_file(struct conf_scan *s, const char *path)
{
	scan_file(s, path, NULL, 0);
}

void
conf_scan_text(struct conf_scan *s, const char *text, size_t len)
{
	struct source src = {.scan = s};

	s->text_only = true;
	src.file = add_file(s, "configuration");
	if (len > CONF_FILE_MAX)
		source_broken(&src, 1, "too large");
	else
		scan_buffer(&src, text, len);
}

/* ---- for libconfuse -------------------------------------------------------------------------------- */

void
conf_scan_write(const struct conf_scan *s, struct strbuf *out)
{
	static const char *const signs[] = {
	    [CONF_TOKEN_OPEN] = "{",        [CONF_TOKEN_CLOSE] = "}", [CONF_TOKEN_ASSIGN] = "=",
	    [CONF_TOKEN_APPEND] = "+=",     [CONF_TOKEN_COMMA] = ",", [CONF_TOKEN_LEFT_PAREN] = "(",
	    [CONF_TOKEN_RIGHT_PAREN] = ")",
	};

	for (size_t i = 0; i < s->token_count; i++) {
		if (s->tokens[i].kind == CONF_TOKEN_WORD)
			conf_lex_quote(s->tokens[i].text, out);
		else
			strbuf_adds(out, signs[s->tokens[i].kind]);
		strbuf_adds(out, "\n");
	}
}
