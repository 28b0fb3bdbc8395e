/* SPDX-License-Identifier: BSD-2-Clause */
/* CHAP (RFC 1994; for iSCSI RFC 7143 §12.1.3): the daemon holds the secrets,
 * answers the target's challenge for a worker, and in mutual CHAP challenges
 * the target and checks its answer.
 *
 * A worker that was taken over can use that as an oracle, so:
 *   C1  one answer in the life of a dial;
 *   C2  never the answer to a challenge that this daemon issued, or one that
 *       ends like it, in whatever session: else a target could have its own
 *       challenge answered by us (reflection). The last CHAP_ISSUED are
 *       remembered;
 *   C3  where the volume names the target's secret, no answer goes to a login
 *       that does not challenge the target, and no session gets READY unless
 *       chap_may_be_ready.
 *
 * A chap lives as long as one dial. Pure but for random numbers.
 */
#ifndef BH_CACHE_CHAP_H
#define BH_CACHE_CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/want.h"

#define CHAP_ISSUED 256u
#define CHAP_CHALLENGE_BYTES 32u
#define CHAP_TAIL_BYTES 8u /* as many in common are no accident */
/* Of shorter secrets RFC 7143 §12.1.3 warns: they can be guessed from what
 * goes over the wire.
 */
#define CHAP_SECRET_BYTES 12u

/* Of the whole daemon. */
struct chap_issued {
  unsigned next;
  struct {
    uint8_t length_bytes; /* 0: none */
    uint8_t bytes[CHAP_CHALLENGE_BYTES];
  } challenge[CHAP_ISSUED];
};

/* A volume's; NULL: not set. Borrowed. */
struct chap_secrets {
  const char *user, *secret;
  const char *target_user, *target_secret;
};

struct chap {
  bool answered; /* C1 */
  bool challenged, checked, proven;
  uint8_t algorithm, id;
  uint8_t length_bytes;
  uint8_t challenge[CHAP_CHALLENGE_BYTES];
};

/* Of a CHAP_A, for messages. */
const char *
chap_algorithm_name (uint8_t algorithm);

/* PROTO_WANT_CHAP and PROTO_WANT_CHAP_CHECK. ERR_OK: *ret is what to give,
 * which may be an error. ERR_PEER: the worker broke the rules, it must end.
 */
enum err
chap_answer (struct chap *c, const struct chap_secrets *s,
             struct chap_issued *issued, const struct proto_want *w,
             struct proto_given *ret, struct fault *f);
/* C3. ERR_AUTH: the target has not proven who it is. */
enum err
chap_may_be_ready (const struct chap *c, const struct chap_secrets *s,
                   struct fault *f);
void
chap_end (struct chap *c); /* wipes */

#endif
