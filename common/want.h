/* SPDX-License-Identifier: BSD-2-Clause */
/* What an engine may not do itself, so that the daemon is asked, and what it
 * is given. Part of protocols/proto.h; ipc/want.h has the encoding.
 */
#ifndef BH_COMMON_WANT_H
#define BH_COMMON_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum proto_want_type {
  PROTO_WANT_NOTHING,
  /* The answer to a challenge (RFC 1994, RFC 7143 §12.1.3): algorithm, id,
   * data = the challenge; mutual: and a challenge of ours. Given: error, name,
   * data = the response; mutual: id, challenge. Once in a session; mutual if,
   * and only if, the parameter target-user is set.
   */
  PROTO_WANT_CHAP,
  /* Whether the target's answer to our challenge is right: name, data = the
   * response. Given: error.
   */
  PROTO_WANT_CHAP_CHECK,
  /* Final: end this session, and start a new engine over a connection to
   * another place: host ("": the same), port (0: the volume's own at another
   * host, that where we are at the same), over so many lanes (0: one), data =
   * its config's `moved`. Never given. The daemon's policy and its loop limit
   * may refuse that; why is for the log.
   */
  PROTO_WANT_MOVE,
};

/* A lane is one of the connections that carry a session. Most of them. */
#define PROTO_LANES_MAX 8u

#define PROTO_WANT_BYTES 1024u
#define PROTO_NAME_BYTES 256u
#define PROTO_WHY_BYTES 160u

struct proto_want {
  enum proto_want_type type;
  uint8_t algorithm; /* CHAP_A: 5 MD5, 6 SHA1, 7 SHA-256, 8 SHA3-256 */
  uint8_t id;        /* CHAP_I */
  bool mutual;
  uint16_t port;
  uint8_t lanes;               /* at most PROTO_LANES_MAX */
  char name[PROTO_NAME_BYTES]; /* CHAP_N of the target */
  char host[PROTO_NAME_BYTES];
  char why[PROTO_WHY_BYTES];
  size_t data_bytes;
  uint8_t data[PROTO_WANT_BYTES];
};

struct proto_given {
  enum proto_want_type type;
  enum err error; /* ERR_AUTH: no such secret, or the answer is wrong;
                     ERR_NOTSUP: no such algorithm */
  uint8_t id;
  char name[PROTO_NAME_BYTES]; /* CHAP_N of ours */
  size_t data_bytes;
  uint8_t data[PROTO_WANT_BYTES];
  size_t challenge_bytes;
  uint8_t challenge[PROTO_WANT_BYTES];
};

#endif
