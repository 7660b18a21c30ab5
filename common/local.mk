# What every process uses. common/nats/ alone includes nats.h; conf_parse.c alone includes confuse.h.
noinst_LIBRARIES += libsrcommon.a
libsrcommon_a_SOURCES = \
	common/channel.h \
	common/clock.c \
	common/clock.h \
	common/conf.h \
	common/error.c \
	common/error.h \
	common/header.h \
	common/jsack.h \
	common/log.h \
	common/origin.h \
	common/proto.h \
	common/strbuf.c \
	common/strbuf.h \
	common/subject.h \
	common/xalloc.c \
	common/xalloc.h \
	common/nats/conn.h \
	common/nats/endpoint.h \
	common/nats/jsapi.h \
	common/nats/puller.h
