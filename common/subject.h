/*
 * NATS subjects: validity, wildcards, and the mapping from source to target. Pure.
 */
#ifndef SR_COMMON_SUBJECT_H
#define SR_COMMON_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

#define SUBJECT_MAX        4096 /* a subject is shorter */
#define SUBJECT_NAME_MAX   255  /* longest name of a stream or consumer, and key of a bucket */
#define SUBJECT_BUCKET_MAX 200  /* longest name of a bucket: its stream's is longer */

/* A subject to publish to: tokens between dots, none empty, no blank, none that is a wildcard ("a*" is
 * none). */
bool subject_valid(const char *subject);
/* The same with wildcards allowed where the server allows them. */
bool subject_filter_valid(const char *filter);
/* A literal subject against a filter with wildcards. */
bool subject_matches(const char *filter, const char *subject);
/* Whether any subject could match both filters. */
bool subject_filters_overlap(const char *a, const char *b);
/* Whether every subject that matches inner also matches outer. */
bool subject_filter_contains(const char *outer, const char *inner);
/* A name of a stream, consumer or JetStream domain: no blank, control character, dot, wildcard or slash. */
bool subject_name_valid(const char *name);
bool subject_name_char_valid(char c);
/* A key of a key-value bucket, and the name of a bucket. */
bool subject_key_valid(const char *key);
bool subject_bucket_valid(const char *bucket);

/*
 * prefix + "." + subject, then every occurrence of remove deleted, then ".." made "." (also where the
 * prefix ends in a dot). Empty prefix or remove do nothing. Returns the length written to out (out_size
 * bytes, terminated), or -1 if the result does not fit or is no valid subject (wildcards in subject stay
 * allowed: filters map too). The buffer holds the unfinished result then, if it fitted.
 */
int subject_map(const char *prefix, const char *remove, const char *subject, char *out, size_t out_size);

#endif
