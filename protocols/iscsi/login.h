/* SPDX-License-Identifier: BSD-2-Clause */
/* From the first byte to the full feature phase (RFC 7143 §6.3, §11.12):
 *
 *   SECURITY     AuthMethod is offered             → OPERATIONAL, or
 *   CHAP_OFFER   CHAP_A is offered                 (the target chose CHAP)
 *   CHAP_ANSWER  the daemon works out the response
 *   CHAP_PROOF   the response is sent
 *   CHAP_CHECK   the daemon looks at the target's response (mutual CHAP)
 *   OPERATIONAL  all keys are offered
 *   DONE         results are in `keys`
 *   MOVED        the target is somewhere else, or wants another algorithm: see
 *                want
 *
 * One PDU is under way at a time. A step ends only with the target's T bit;
 * until then it gets empty requests, at most LOGIN_ROUNDS in all.
 */
#ifndef BH_PROTOCOLS_ISCSI_LOGIN_H
#define BH_PROTOCOLS_ISCSI_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "protocols/iscsi/inbox.h"
#include "protocols/iscsi/keys.h"
#include "protocols/iscsi/sendbox.h"
#include "protocols/proto.h"

#define LOGIN_ROUNDS 32u
/* How long the target may take for one answer, and for all. */
#define LOGIN_TIMEOUT_NS (15ull * 1000 * 1000 * 1000)
/* Text of one response in pieces (C bit, §6.1). */
#define LOGIN_TEXT_BYTES (16u * 1024)
#define LOGIN_NAME_BYTES 224u /* an iSCSI name has at most 223 (§4.2.7.1) */
#define LOGIN_CID 0u

/* What the next engine is told by `moved` about CHAP algorithm 7, which IANA
 * gave to SHA-256: tgt and IET take that number for SHA-1, as a draft did.
 *
 * Their challenges have 25 to 49 bytes, at random; those who know SHA-256 make
 * them as long as a digest. So a challenge of an odd length is not answered,
 * and the login begins anew WITHOUT; only if the target knows none of the
 * others is 7 what it says: ONLY. A challenge that happens to look right is
 * answered, and where that is refused WITHOUT is tried: one wrong password in
 * 25 is refused twice by tgt, the others once.
 */
#define LOGIN_WITHOUT_SHA256 "CHAP_A=8,6,5"
#define LOGIN_ONLY_SHA256 "CHAP_A=7"

enum login_step {
  LOGIN_SECURITY,
  LOGIN_CHAP_OFFER,
  LOGIN_CHAP_ANSWER,
  LOGIN_CHAP_PROOF,
  LOGIN_CHAP_CHECK,
  LOGIN_OPERATIONAL,
  LOGIN_DONE,
  LOGIN_MOVED,
};

struct login_setup {
  char initiator_name[LOGIN_NAME_BYTES];
  char target_name[LOGIN_NAME_BYTES]; /* "": a discovery session */
  bool chap;   /* offer it beside None */
  bool mutual; /* insist on it, and that the target proves itself */
  bool without_sha256, only_sha256; /* see LOGIN_WITHOUT_SHA256 */
  uint32_t header_digest, data_digest; /* sets of KEYS_… */
  uint32_t receive_max_bytes; /* MaxRecvDataSegmentLength of ours */
  uint8_t isid[6];
  uint32_t cmd_sn; /* the first */
};

struct login {
  struct login_setup setup;
  enum login_step step;
  struct keys keys;
  uint64_t deadline_ns; /* 0: a tick is needed that tells the time */
  unsigned rounds;
  bool awaiting; /* an answer of the target */
  bool want_open; /* a question that the daemon has not been told */
  bool auth_method_none;
  struct proto_want want;
  struct proto_given chap; /* ours: for the reflection check */
  uint8_t chap_algorithm;

  char target_alias[64];
  uint16_t portal_group;
  bool portal_group_known;
  uint16_t tsih;
  uint32_t exp_stat_sn, exp_cmd_sn, max_cmd_sn;

  size_t text_bytes;
  uint8_t text[LOGIN_TEXT_BYTES];
};

void login_init (struct login *l, const struct login_setup *setup);
/* Queues the first request. */
void login_start (struct login *l, struct sendbox *s);

/* A whole Login Response with its text. Any error is final. */
enum err login_response (struct login *l, struct sendbox *s,
                         const struct pdu *p, const uint8_t *text,
                         struct fault *f);

/* As proto_ops.want, give. */
bool login_want (struct login *l, struct proto_want *ret);
enum err login_given (struct login *l, struct sendbox *s,
                      const struct proto_given *g, struct fault *f);

/* Time runs from the first tick on. ERR_TIMEOUT with f. */
enum err login_tick (struct login *l, uint64_t now_ns, struct fault *f);

#endif
