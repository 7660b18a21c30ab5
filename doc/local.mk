# Manual pages and the pages for operators and maintainers.
man_MANS = \
	doc/stream-replicator.8 \
	doc/stream-replicator.conf.5

dist_doc_DATA = \
	NEWS \
	doc/delivery.md \
	doc/high-availability.md \
	doc/internals.md \
	doc/migrating.md \
	doc/running.md \
	doc/sampling.md \
	doc/two-way.md \
	doc/when-a-topic-halts.md

EXTRA_DIST += \
	doc/stream-replicator.8.in \
	doc/stream-replicator.conf.5.in

CLEANFILES += \
	$(man_MANS) \
	doc/settings.mdoc

# What the code knows best is written by a program that is made of it.
noinst_PROGRAMS += doc/gen_manual
doc_gen_manual_SOURCES = \
	doc/gen_manual.c
doc_gen_manual_LDADD = libsrcommon.a $(CONFUSE_LIBS) $(JANSSON_LIBS) $(LIBS)

# Paths of this installation.
substitute_paths = $(SED) \
	-e 's,@sysconfdir[@],$(sysconfdir),g' \
	-e 's,@localstatedir[@],$(localstatedir),g' \
	-e 's,@libexecdir[@],$(libexecdir),g' \
	-e 's,@docdir[@],$(docdir),g'

doc/stream-replicator.8: $(srcdir)/doc/stream-replicator.8.in Makefile
	$(AM_V_GEN)$(substitute_paths) $(srcdir)/doc/stream-replicator.8.in >$@.tmp && mv $@.tmp $@

doc/settings.mdoc: doc/gen_manual$(EXEEXT)
	$(AM_V_GEN)doc/gen_manual settings >$@.tmp && mv $@.tmp $@

doc/stream-replicator.conf.5: $(srcdir)/doc/stream-replicator.conf.5.in doc/settings.mdoc Makefile
	$(AM_V_GEN)$(substitute_paths) -e '/^@SETTINGS[@]/r doc/settings.mdoc' -e '/^@SETTINGS[@]/d' \
	  $(srcdir)/doc/stream-replicator.conf.5.in >$@.tmp && mv $@.tmp $@

# Code and manual say the same.
dist_check_SCRIPTS += doc/check-manual
TESTS += doc/check-manual
