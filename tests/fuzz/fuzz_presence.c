/*
 * Fuzz target: announcements. Each line of the input is one, so that they meet what others have left. What
 * was taken is fit to be shown, and nothing is handed over to nobody.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "worker/presence.h"

static void
check(struct presence *p, struct mono now, const char *key)
{
	struct proto_candidate present[PROTO_MAX_CANDIDATES];
	size_t count = presence_candidates(p, key, present, PROTO_MAX_CANDIDATES);
	const char *handed = presence_hand_over(p, now, 1000);

	REQUIRE(count >= 1 && present[0].self);
	REQUIRE((count > 1) == presence_other_stands(p, key, false));
	REQUIRE(!presence_other_stands(p, key, true) || count > 1);
	REQUIRE(handed == NULL || presence_other_stands(p, handed, true));
	for (size_t i = 0; i < count; i++)
		for (const char *c = present[i].node; *c != '\0'; c++)
			REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"a", "b", "c", "d"};
	struct presence *p = presence_new("self", "node", "SITE", 1);
	struct mono now = {1000000000};
	const char *text = (const char *)data, *end = text + size;

	for (size_t i = 0; i < 4; i++)
		presence_set_own(p, keys[i], i < 3, true, now, false);
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline != NULL ? newline : end) - text);
		struct error e = ERROR_INIT;

		if (presence_heard(p, now, text, len, NULL, &e) != 0)
			REQUIRE(e.text[0] != '\0');
		check(p, now, "a");
		check(p, now, "d");
		now = mono_add_ms(now, 700);
		presence_expire(p, now, 1000);
		text += len + 1;
	}
	presence_free(&p);
	return 0;
}
