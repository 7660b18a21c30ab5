/*
 * Finds a few fields in a JSON text without making a tree of it, in one pass that stops as soon as all are
 * found. Pure; no memory is taken, whatever the text is; nesting may be of any depth.
 *
 * A path is names joined by dots: "a.b" is field b of the object in field a of the outermost object. A name
 * may be written with \. for a dot in it. Lists are not entered. The first of several fields of the same name
 * counts. A field behind the place where the text is broken is not found; one before it is: what follows what
 * was found is not looked at.
 */
#ifndef SR_COMMON_JSON_SCAN_H
#define SR_COMMON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct json_path; /* parsed once */

/* NULL if it is no path (empty, or an empty name in it). */
struct json_path *json_path_new(const char *text);
void json_path_free(struct json_path **p);

enum json_kind {
	JSON_NONE,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL_VALUE,
	JSON_CONTAINER
};

struct json_found {
	enum json_kind kind; /* JSON_NONE: it is not there, or behind where the text is broken */
	/* As written: of a string what is between the quotes, of a number its digits, of true and false the
	 * word. Borrowed from the text. Of a container and null nothing is said. */
	const char *text;
	size_t len;
	bool escaped; /* a string with \ in it: json_unescape() */
};

/*
 * Looks for count paths (at most 2); found[i] belongs to paths[i]. Returns false if the text was found to be
 * broken before all were found.
 */
bool json_scan(const char *text, size_t len, const struct json_path *const *paths, size_t count,
	       struct json_found *found);

/* Writes a string without its escapes, as UTF-8, up to size bytes; returns the length that it has in whole.
 * What no escape should give (half of a surrogate pair) becomes U+FFFD. */
size_t json_unescape(const char *text, size_t len, char *out, size_t size);

#endif
