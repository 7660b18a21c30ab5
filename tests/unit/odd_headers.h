/* Header blocks of every odd kind that a server takes, without the status line and the empty line at the
 * end: what is copied must be them, byte by byte. */
#ifndef SR_TESTS_ODD_HEADERS_H
#define SR_TESTS_ODD_HEADERS_H

static const char *const odd_headers[] = {
    "A: 1\r\n",
    "B: 1\r\na: x\r\nB: 2\r\nb: low\r\n",               /* order, case, twice the same */
    "A:   lead inner  sp  \r\nZ: 1\r\n",                /* blanks around */
    "A: trail \t \r\n",                                 /* and tabs */
    "Empty: \r\nNext: n\r\n",                           /* empty, blank behind the colon */
    "Empty:\r\nNext:n\r\nM: http://x:1\r\n",            /* empty, none */
    "E:\r\n",                                           /* nothing but empty */
    "E: \r\n",                                          /* at the end, too */
    "A: 1\r\nE:\r\n",                                   /* at the end */
    "A: 1\r\nE: \r\n",                                  /* at the end, with a blank */
    "Z: 9\r\nY: 8\r\nX: 7\r\nW: 6\r\nV: 5\r\nU: 4\r\n", /* many */
    "x: y:z\r\nx:  q\r\nX: :\r\n",                      /* colons */
    "nocolon\r\n",                                      /* no colon */
    "A: 1\r\nnocolon\r\n",                              /* no colon at the end */
    "nocolon\r\nA: 1\r\n",                              /* and before */
    "A: v\r\n folded\r\n",                              /* folded */
    "A: v\r\n\tfolded\r\n more\r\nB: 2\r\n",            /* more of it */
    "KV-Operation: DEL\r\n",                            /* what a bucket writes */
    "Status: 503\r\n",                                  /* no status of the server's */
    "Status: 503\r\nDescription: nobody\r\n",           /* nor this */
    "A: \xc3\xa4\xff\x01\r\n",                          /* no ASCII */
    "A B: c d\r\n",                                     /* a blank in the name */
    "A : b\r\n",                                        /* at its end */
    "A: bare\nnewline\r\n",                             /* a line feed alone */
    "A: bare\rreturn\r\n",                              /* a carriage return alone */
    ": no name\r\n",                                    /* nothing in front of the colon */
    "NATS/1.0: 404\r\n",                                /* a name like the first line */
};

#endif
