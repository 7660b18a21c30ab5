# What every process uses. common/nats/ alone includes nats.h; conf_parse.c alone includes confuse.h.
noinst_LIBRARIES += libsrcommon.a
libsrcommon_a_SOURCES = \
	common/channel.c \
	common/channel.h \
	common/clock.c \
	common/clock.h \
	common/conf.h \
	common/error.c \
	common/error.h \
	common/header.c \
	common/header.h \
	common/jsack.c \
	common/jsack.h \
	common/log.c \
	common/log.h \
	common/origin.c \
	common/origin.h \
	common/proto.c \
	common/proto.h \
	common/proto_bytes.c \
	common/proto_bytes.h \
	common/proto_payload.c \
	common/strbuf.c \
	common/strbuf.h \
	common/subject.c \
	common/subject.h \
	common/text.c \
	common/text.h \
	common/units.c \
	common/units.h \
	common/xalloc.c \
	common/xalloc.h \
	common/nats/conn.h \
	common/nats/endpoint.c \
	common/nats/endpoint.h \
	common/nats/jsapi.h \
	common/nats/puller.h
