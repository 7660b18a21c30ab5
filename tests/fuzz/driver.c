/*
 * Runs a fuzz target without libFuzzer, over the files and directories given, or over its part of the
 * corpus: tests/fuzz/corpus/NAME for the program fuzz_NAME. So `make check` repeats every finding with any
 * compiler. Each input stands alone on the heap, so that a sanitizer sees a read past its end.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/fuzz/fuzz.h"

static int ran;

static int
fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return -1;
}

static int
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct strbuf content;
	char part[4096];
	uint8_t *input;
	size_t len;

	if (f == NULL)
		return fail(path);
	strbuf_init(&content);
	while ((len = fread(part, 1, sizeof part, f)) > 0)
		strbuf_add(&content, part, len);
	fclose(f);
	input = xmalloc(content.len);
	memcpy(input, content.data, content.len);
	fprintf(stderr, "%s\n", path); /* the last one named is the one that failed */
	LLVMFuzzerTestOneInput(input, content.len);
	ran++;
	free(input);
	strbuf_fini(&content);
	return 0;
}

static int
run_directory(const char *path)
{
	struct dirent **names;
	int count = scandir(path, &names, NULL, alphasort), result = 0;

	if (count < 0)
		return fail(path);
	for (int i = 0; i < count; i++) {
		char *name = xasprintf("%s/%s", path, names[i]->d_name);
		struct stat st;

		if (names[i]->d_name[0] != '.' && stat(name, &st) == 0 && S_ISREG(st.st_mode) &&
		    run_file(name) != 0)
			result = -1;
		free(name);
		free(names[i]);
	}
	free(names);
	return result;
}

static int
run(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return fail(path);
	return S_ISDIR(st.st_mode) ? run_directory(path) : run_file(path);
}

/* The corpus of the program: libtool-less automake runs it by its path, in the build directory. */
static char *
own_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir"), *base = strrchr(program, '/');

	base = base != NULL ? base + 1 : program;
	if (strncmp(base, "fuzz_", 5) == 0)
		base += 5;
	return xasprintf("%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".", base);
}

int
main(int argc, char **argv)
{
	int result = 0;

	for (int i = 1; i < argc; i++)
		if (run(argv[i]) != 0)
			result = -1;
	if (argc < 2) {
		char *corpus = own_corpus(argv[0]);

		result = run(corpus);
		free(corpus);
	}
	fprintf(stderr, "%d inputs\n", ran);
	return result == 0 && ran > 0 ? 0 : 1;
}
