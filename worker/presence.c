/*
 * Who is there. Pure, runs in an elector. Announcements come from whoever may publish to the subject: each is
 * checked as a whole before anything of it is kept, and what is kept of all of them is bounded. The worst
 * that a liar can do is that names are handed over to nodes that do not take them.
 */
#include "worker/presence.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/xalloc.h"

enum {
	ANNOUNCED_VERSION = 1,
	NONCE_MAX = 64,
	KEY_MAX = 1024,
	TEXT_MAX = 255,
	ALL_BYTES_MAX = 4 * 1024 * 1024, /* of the announcements that are kept */
	GONE_TTLS = 2,
	STAY_TTLS = 10,
	HAND_OVER_MS = 1000,
	HAND_OVER_SPREAD = 5, /* names above the share; with more of them it goes faster in proportion */
	CAME_BACK_MS = 5000,  /* nobody took what was handed over */
};

struct name {
	char *key;
	bool leads, able;
	size_t stand; /* nodes that stand for it */
	/* Of this node: */
	struct mono since; /* leading */
	bool stays;        /* it was moved here, or came back when nobody took it */
	bool left;         /* it was given up after the hand-over at left_at */
	struct mono left_at;
};

struct node {
	char *nonce, *name, *site;
	uint32_t pid;
	struct name *names; /* by key */
	size_t name_count;
	size_t bytes; /* of the announcement */
	struct mono heard;
	size_t leads, share;
};

struct presence {
	struct node self;
	struct node *others;
	size_t other_count, bytes;
	bool have_handed;
	struct mono handed;
};

/* ---- nodes ----------------------------------------------------------------------------------------- */

static void
node_fini(struct node *n)
{
	for (size_t i = 0; i < n->name_count; i++)
		free(n->names[i].key);
	free(n->names);
	free(n->nonce);
	free(n->name);
	free(n->site);
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->key, ((const struct name *)b)->key);
}

static struct name *
find_name(const struct node *n, const char *key)
{
	size_t from = 0, to = n->name_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(key, n->names[middle].key);

		if (order == 0)
			return &n->names[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

static void
count_leads(struct node *n)
{
	n->leads = 0;
	for (size_t i = 0; i < n->name_count; i++)
		n->leads += n->names[i].leads;
}

/* Rounded up; what adds up to a whole number but for rounding is that number. */
static void
count_share(struct node *n)
{
	double sum = 0;

	for (size_t i = 0; i < n->name_count; i++)
		sum += 1.0 / (double)n->names[i].stand;
	n->share = n->name_count > 0 ? (size_t)(sum - 1e-6) + 1 : 0;
}

static int
by_key_of(const void *a, const void *b)
{
	return strcmp((*(struct name *const *)a)->key, (*(struct name *const *)b)->key);
}

static size_t
collect(struct node *n, struct name **all, size_t count)
{
	for (size_t i = 0; i < n->name_count; i++)
		all[count++] = &n->names[i];
	return count;
}

/* Who stands for which name has changed; of all names at once. */
static void
count_shares(struct presence *p)
{
	size_t count = p->self.name_count, run;
	struct name **all;

	for (size_t i = 0; i < p->other_count; i++)
		count += p->others[i].name_count;
	all = xcalloc(count + 1, sizeof *all);
	count = collect(&p->self, all, 0);
	for (size_t i = 0; i < p->other_count; i++)
		count = collect(&p->others[i], all, count);
	qsort(all, count, sizeof *all, by_key_of);
	for (size_t i = 0; i < count; i += run) {
		for (run = 1; i + run < count && strcmp(all[i]->key, all[i + run]->key) == 0; run++)
			;
		for (size_t k = i; k < i + run; k++)
			all[k]->stand = run;
	}
	free(all);
	count_share(&p->self);
	for (size_t i = 0; i < p->other_count; i++)
		count_share(&p->others[i]);
}

/* As others take it: text of at most TEXT_MAX bytes. */
static char *
fit_text(const char *text)
{
	struct strbuf clean;
	char *fit;

	strbuf_init(&clean);
	text_clean(&clean, text, strlen(text));
	fit = xasprintf("%.*s", (int)text_cut(clean.data, clean.len, TEXT_MAX), clean.data);
	strbuf_fini(&clean);
	return fit;
}

struct presence *
presence_new(const char *nonce, const char *node, const char *site, uint32_t pid)
{
	struct presence *p = xcalloc(1, sizeof *p);

	p->self.nonce = xstrdup(nonce);
	p->self.name = fit_text(node);
	p->self.site = fit_text(site);
	p->self.pid = pid;
	return p;
}

void
presence_free(struct presence **p)
{
	if (*p == NULL)
		return;
	for (size_t i = 0; i < (*p)->other_count; i++)
		node_fini(&(*p)->others[i]);
	free((*p)->others);
	node_fini(&(*p)->self);
	free(*p);
	*p = NULL;
}

/* ---- this node ------------------------------------------------------------------------------------- */

/* Keeps the names in order without sorting thousands of them for each that is added. */
static struct name *
add_own(struct presence *p, const char *key)
{
	struct node *self = &p->self;
	size_t at = self->name_count;

	self->names = xrealloc(self->names, (self->name_count + 1) * sizeof *self->names);
	while (at > 0 && strcmp(key, self->names[at - 1].key) < 0)
		at--;
	memmove(&self->names[at + 1], &self->names[at], (self->name_count - at) * sizeof *self->names);
	self->name_count++;
	self->names[at] = (struct name){.key = xstrdup(key), .stand = 1};
	return &self->names[at];
}

/* The same as count_shares(), when the one name is all that is new. */
static void
count_share_of(struct presence *p, struct name *own)
{
	for (size_t i = 0; i < p->other_count; i++)
		own->stand += find_name(&p->others[i], own->key) != NULL;
	count_share(&p->self);
	for (size_t i = 0; i < p->other_count; i++) {
		struct name *n = find_name(&p->others[i], own->key);

		if (n == NULL)
			continue;
		n->stand = own->stand;
		count_share(&p->others[i]);
	}
}

/* Handing the same name over again at once would only interrupt its work once a second. */
static bool
came_back(const struct name *n, struct mono since)
{
	return n->left && mono_ms_between(n->left_at, since) < CAME_BACK_MS;
}

bool
presence_set_own(struct presence *p, const char *key, bool leads, bool able, struct mono since, bool moved)
{
	struct name *n = find_name(&p->self, key);
	bool is_new = n == NULL, changed;

	if (is_new)
		n = add_own(p, key);
	changed = is_new || n->leads != leads || n->able != able;
	if (n->leads && !leads) {
		n->left = p->have_handed;
		n->left_at = p->handed;
	} else if (leads && (!n->leads || n->since.ns != since.ns)) {
		n->stays = moved || came_back(n, since);
	}
	n->leads = leads;
	n->able = able;
	n->since = since;
	count_leads(&p->self);
	if (is_new)
		count_share_of(p, n);
	return changed;
}

/* With all that stands around the key. */
static size_t
written_size(const char *key)
{
	size_t size = sizeof "{\"key\":\"\",\"leads\":false,\"able\":false},";

	for (const char *c = key; *c != '\0'; c++)
		size += (unsigned char)*c < 0x20 ? 6 : *c == '"' || *c == '\\' ? 2 : 1;
	return size;
}

static json_t *
names_json(const struct node *self)
{
	json_t *names = json_array();
	size_t bytes = 0;

	for (size_t i = 0; i < self->name_count && i < PRESENCE_MAX_NAMES; i++) {
		const struct name *n = &self->names[i];

		bytes += written_size(n->key);
		if (bytes > PRESENCE_MAX_BYTES - 8 * 1024)
			break;
		json_array_append_new(names, json_pack("{s:s, s:b, s:b}", "key", n->key, "leads",
						       (int)n->leads, "able", (int)n->able));
	}
	return names;
}

void
presence_write(const struct presence *p, bool gone, struct strbuf *out)
{
	const struct node *self = &p->self;
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:I, s:b, s:o}", "v", ANNOUNCED_VERSION, "nonce",
			      self->nonce, "node", self->name, "site", self->site, "pid",
			      (json_int_t)self->pid, "gone", (int)gone, "names", names_json(self));
	char *text = json_dumps(o, JSON_COMPACT);

	strbuf_adds(out, text != NULL ? text : "");
	free(text);
	json_decref(o);
}

/* ---- announcements --------------------------------------------------------------------------------- */

static int
bad(struct error *e, const char *what)
{
	return error_set(e, ERR_PROTOCOL, "announcement: %s", what);
}

/* Text that may be shown and logged; NULL if it is none. */
static const char *
take_text(const json_t *o, const char *field, size_t min, size_t max)
{
	const char *text = json_string_value(json_object_get(o, field));

	if (text == NULL || strlen(text) < min || strlen(text) > max)
		return NULL;
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return NULL;
	return text;
}

static bool
take_bool(const json_t *o, const char *field, bool *value)
{
	const json_t *b = json_object_get(o, field);

	*value = json_is_true(b);
	return json_is_boolean(b);
}

static int
read_names(const json_t *o, struct node *n, struct error *e)
{
	const json_t *names = json_object_get(o, "names");
	size_t count = json_array_size(names);

	if (!json_is_array(names) || count > PRESENCE_MAX_NAMES)
		return bad(e, "no names, or too many");
	n->names = xcalloc(count + 1, sizeof *n->names);
	for (size_t i = 0; i < count; i++) {
		const json_t *entry = json_array_get(names, i);
		struct name *name = &n->names[i];
		const char *key = take_text(entry, "key", 1, KEY_MAX);

		if (key == NULL || !take_bool(entry, "leads", &name->leads) ||
		    !take_bool(entry, "able", &name->able))
			return bad(e, "a name that is none");
		name->key = xstrdup(key);
		n->name_count++;
	}
	qsort(n->names, n->name_count, sizeof *n->names, by_key);
	for (size_t i = 1; i < n->name_count; i++)
		if (strcmp(n->names[i - 1].key, n->names[i].key) == 0)
			return bad(e, "a name comes twice");
	return 0;
}

/* What was set when it fails is the caller's to free. */
static int
read_node(const json_t *o, struct node *n, bool *gone, struct error *e)
{
	const json_t *version = json_object_get(o, "v"), *pid = json_object_get(o, "pid");
	const char *nonce = take_text(o, "nonce", 1, NONCE_MAX), *name = take_text(o, "node", 1, TEXT_MAX),
		   *site = take_text(o, "site", 0, TEXT_MAX);

	if (!json_is_integer(version) || json_integer_value(version) != ANNOUNCED_VERSION)
		return bad(e, "no object, or not of version 1");
	if (nonce == NULL || name == NULL || site == NULL || !take_bool(o, "gone", gone) ||
	    !json_is_integer(pid) || json_integer_value(pid) < 0 || json_integer_value(pid) > UINT32_MAX)
		return bad(e, "nonce, node, site, pid or gone are missing or make no sense");
	n->nonce = xstrdup(nonce);
	n->name = xstrdup(name);
	n->site = xstrdup(site);
	n->pid = (uint32_t)json_integer_value(pid);
	return *gone ? 0 : read_names(o, n, e);
}

static int
parse(const char *data, size_t len, struct node *n, bool *gone, struct error *e)
{
	json_error_t why;
	json_t *o;
	int result;

	if (len > PRESENCE_MAX_BYTES)
		return bad(e, "too long");
	o = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	if (o == NULL)
		return error_set(e, ERR_PROTOCOL, "announcement: no JSON: %s", why.text);
	n->bytes = len;
	result = read_node(o, n, gone, e);
	json_decref(o);
	return result;
}

/* Returns false if other names than before are stood for, so that everything is to be counted again. */
static bool
take_shares(struct node *n, const struct node *before)
{
	if (n->name_count != before->name_count)
		return false;
	for (size_t i = 0; i < n->name_count; i++)
		if (strcmp(n->names[i].key, before->names[i].key) != 0)
			return false;
	n->share = before->share;
	return true;
}

static void
remove_other(struct presence *p, size_t at)
{
	p->bytes -= p->others[at].bytes;
	node_fini(&p->others[at]);
	p->others[at] = p->others[--p->other_count];
}

/* Takes over *n; at: of the node's last announcement, other_count if there was none. */
static int
keep(struct presence *p, struct node *n, size_t at, bool *changed, struct error *e)
{
	size_t before = at < p->other_count ? p->others[at].bytes : 0;

	if (at == PRESENCE_MAX_NODES || p->bytes - before + n->bytes > ALL_BYTES_MAX)
		return bad(e, "too many nodes, or too many names in all");
	if (at == p->other_count) {
		p->others = xrealloc(p->others, (p->other_count + 1) * sizeof *p->others);
		p->other_count++;
		*changed = true;
	} else {
		*changed = !take_shares(n, &p->others[at]);
		node_fini(&p->others[at]);
	}
	p->bytes += n->bytes - before;
	count_leads(n);
	p->others[at] = *n;
	return 0;
}

static size_t
find_other(const struct presence *p, const char *nonce)
{
	size_t at = 0;

	while (at < p->other_count && strcmp(p->others[at].nonce, nonce) != 0)
		at++;
	return at;
}

static int
take_node(struct presence *p, struct node *n, bool gone, bool *changed, struct error *e)
{
	size_t at = find_other(p, n->nonce);

	if (strcmp(n->nonce, p->self.nonce) == 0) {
		node_fini(n);
	} else if (gone) {
		*changed = at < p->other_count;
		if (*changed)
			remove_other(p, at);
		node_fini(n);
	} else if (keep(p, n, at, changed, e) != 0) {
		node_fini(n);
		return -1;
	}
	return 0;
}

int
presence_heard(struct presence *p, struct mono now, const char *data, size_t len, bool *changed,
	       struct error *e)
{
	struct node n = {.heard = now};
	bool gone = false, is_change = false;

	if (parse(data, len, &n, &gone, e) != 0) {
		node_fini(&n);
		return -1;
	}
	if (take_node(p, &n, gone, &is_change, e) != 0)
		return -1;
	if (is_change)
		count_shares(p);
	if (changed != NULL)
		*changed = is_change;
	return 0;
}

bool
presence_expire(struct presence *p, struct mono now, int64_t ttl_ms)
{
	size_t before = p->other_count;

	for (size_t i = p->other_count; i-- > 0;)
		if (mono_ms_between(p->others[i].heard, now) >= GONE_TTLS * ttl_ms)
			remove_other(p, i);
	if (p->other_count == before)
		return false;
	count_shares(p);
	return true;
}

/* ---- questions ------------------------------------------------------------------------------------- */

static void
fill_candidate(const struct node *n, bool self, struct proto_candidate *out)
{
	*out = (struct proto_candidate){
	    .node = n->name, .site = n->site, .pid = n->pid, .leads = (uint32_t)n->leads, .self = self};
}

size_t
presence_candidates(const struct presence *p, const char *key, struct proto_candidate *out, size_t max)
{
	size_t count = 0;

	if (count < max && find_name(&p->self, key) != NULL)
		fill_candidate(&p->self, true, &out[count++]);
	for (size_t i = 0; i < p->other_count && count < max; i++)
		if (find_name(&p->others[i], key) != NULL)
			fill_candidate(&p->others[i], false, &out[count++]);
	return count;
}

bool
presence_other_stands(const struct presence *p, const char *key, bool able)
{
	for (size_t i = 0; i < p->other_count; i++) {
		const struct name *n = find_name(&p->others[i], key);

		if (n != NULL && (n->able || !able))
			return true;
	}
	return false;
}

/* ---- balance --------------------------------------------------------------------------------------- */

bool
presence_wants_more(const struct presence *p)
{
	return p->self.leads < p->self.share;
}

/* The fewest names that a node leads which should have this one; self.leads if none should. */
static size_t
fewest(const struct presence *p, const char *key)
{
	size_t least = p->self.leads;

	for (size_t i = 0; i < p->other_count; i++) {
		const struct node *o = &p->others[i];
		const struct name *n = find_name(o, key);

		if (n != NULL && n->able && o->leads < o->share && o->leads + 1 < p->self.leads &&
		    o->leads < least)
			least = o->leads;
	}
	return least;
}

/* So that any number of names is shared within some twenty seconds. */
static int64_t
pace_ms(const struct presence *p)
{
	size_t above = p->self.leads - p->self.share;

	return above > HAND_OVER_SPREAD ? HAND_OVER_MS * HAND_OVER_SPREAD / (int64_t)above : HAND_OVER_MS;
}

const char *
presence_hand_over(const struct presence *p, struct mono now, int64_t ttl_ms)
{
	size_t least = p->self.leads;
	const char *key = NULL;

	if (p->self.leads <= p->self.share ||
	    (p->have_handed && mono_ms_between(p->handed, now) < pace_ms(p)))
		return NULL;
	for (size_t i = 0; i < p->self.name_count; i++) {
		const struct name *n = &p->self.names[i];
		size_t there;

		if (!n->leads || (n->stays && mono_ms_between(n->since, now) < STAY_TTLS * ttl_ms))
			continue;
		there = fewest(p, n->key);
		if (there < least) {
			least = there;
			key = n->key;
		}
	}
	return key;
}

void
presence_handed_over(struct presence *p, struct mono now)
{
	p->have_handed = true;
	p->handed = now;
}
