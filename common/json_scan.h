/*
 * Finds a few fields in a JSON text without making a tree of it, in one pass that stops as soon as the last
 * one is decided. Pure; scanning takes no memory, whatever the text is; nesting may be of any depth.
 *
 * Path. Names joined by dots: "a.b" is field b of the object in field a of the outermost object. A backslash
 * takes the character behind it as it is: \. is a dot in a name, \\ a backslash. Names compare byte by byte,
 * with the text's names after json_unescape(): "\u0061" is a. Lists are not entered.
 *
 * Duplicates. Of several fields of one name in an object the first counts, at each level of the path: if the
 * first "a" is no object or has no "b", then "a.b" is not there, whatever a second "a" has.
 *
 * What is decided. A field is found once its value is read: a string to its closing quote; a number, true,
 * false or null to the blank, comma or closing bracket behind it; an object or a list is found by its opening
 * bracket. It is absent once its object ends without it. When all paths are decided, what follows in the text
 * is not looked at. A text whose outermost value is no object has no fields: of it only the first character
 * is read, or the number or word that stands there.
 *
 * Broken texts. What stands before the break is found, what stands behind it is not. Looked at are the
 * commas, colons and names of each object that a path leads through. Values are passed over without regard to
 * their grammar: a string up to the next quote without a backslash before it, an object or a list until as
 * many brackets were closed as opened, of whichever kind, and a run of letters, digits, + - and dot as number
 * or word. If a path leads to such a run that is no number or word of JSON, the field counts as absent and
 * the text as broken, but what follows is read. Strings may hold any bytes, also such as JSON forbids
 * (control characters, NUL, broken UTF-8): they pass through. A byte order mark in front is no JSON. Nothing
 * but blanks is no JSON. So what one path finds does not depend on the other.
 */
#ifndef SR_COMMON_JSON_SCAN_H
#define SR_COMMON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_SCAN_PATHS 2 /* that may be looked for at once */

struct json_path; /* parsed once */

/* NULL if it is no path: empty, an empty name in it, or a backslash at its end. */
struct json_path *json_path_new(const char *text);
void json_path_free(struct json_path **p);

enum json_kind {
	JSON_KIND_NONE,
	JSON_KIND_STRING,
	JSON_KIND_NUMBER,
	JSON_KIND_TRUE,
	JSON_KIND_FALSE,
	JSON_KIND_NULL,
	JSON_KIND_CONTAINER
};

struct json_found {
	enum json_kind kind; /* JSON_KIND_NONE: it is not there, or behind where the text is broken */
	/* As written: of a string what is between the quotes, of a number all of it, of true and false the
	 * word. Borrowed from the text. NULL of a container and null. */
	const char *text;
	size_t len;
	bool escaped; /* a string with \ in it: json_unescape() */
};

/*
 * Looks for count paths, at most JSON_SCAN_PATHS; found[i] belongs to paths[i]; two may be the same, or one
 * lead through the other. text may be NULL with len 0. Returns false if the text was found to be broken
 * before all were decided.
 */
bool json_scan(const char *text, size_t len, const struct json_path *const *paths, size_t count,
	       struct json_found *found);

/*
 * Writes a string without its escapes, as UTF-8, up to size bytes; returns the length that it has in whole.
 * \u0000 becomes a NUL byte, half of a surrogate pair U+FFFD. Of what is no escape the backslash becomes
 * U+FFFD, and what is behind it stays.
 */
size_t json_unescape(const char *text, size_t len, char *out, size_t size);

#endif
