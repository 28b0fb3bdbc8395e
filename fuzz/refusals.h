/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server of the driver's own says when the input has ended: an error to
 * each request that was sent and not answered. It listens to both sides from
 * the first byte on, and knows just enough of SFTP, ONC RPC and iSCSI for that.
 *
 * One for each connection of an engine; one thread. Where the bytes of a side
 * cannot be told apart any more (digests, a record in the middle of its
 * fragments) it is lost, and says nothing.
 */
#ifndef BH_FUZZ_REFUSALS_H
#define BH_FUZZ_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of each message: as far as the arguments of a COMPOUND have to be seen. */
#define REFUSALS_HEAD_BYTES 768u
#define REFUSALS_PENDING 256u
/* No answer is longer. */
#define REFUSALS_ANSWER_BYTES 128u

enum refusals_protocol { REFUSE_SFTP, REFUSE_ISCSI, REFUSE_NFS };

struct refusals_frame {
  size_t have_bytes, total_bytes; /* total 0: not known yet */
  uint8_t head[REFUSALS_HEAD_BYTES];
};

struct refusals_pending {
  uint32_t id;           /* SFTP's id, XID, Initiator Task Tag */
  uint32_t kind;         /* opcode, procedure */
  uint32_t other;        /* task that is to be aborted; NFS: version */
  uint32_t operation;    /* NFSv4: behind SEQUENCE and PUTFH; or 0 */
  bool sequence;         /* NFSv4: begins with SEQUENCE, of which that is */
  uint8_t arguments[28]; /* session, sequenceid, slotid, highest_slotid */
};

struct refusals {
  enum refusals_protocol protocol;
  bool lost;
  bool fragment; /* NFS: the server's record goes on in another one */
  uint32_t stat_sn, cmd_sn; /* iSCSI: the next ones */
  struct refusals_frame sent, heard;
  unsigned n;
  struct refusals_pending pending[REFUSALS_PENDING];
};

void
refusals_init (struct refusals *r, enum refusals_protocol protocol);
/* What the engine has sent, what the server has said. */
void
refusals_sent (struct refusals *r, const uint8_t *bytes, size_t n);
void
refusals_heard (struct refusals *r, const uint8_t *bytes, size_t n);
/* How many bytes the server's last message lacks. */
size_t
refusals_rest (const struct refusals *r);
/* The next answer; the caller hands it to the engine and to refusals_heard. 0:
 * everything is answered.
 */
size_t
refusals_answer (struct refusals *r, uint8_t dst[REFUSALS_ANSWER_BYTES]);

#endif
