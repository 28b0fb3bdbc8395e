/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of our user as SCSI commands on one LUN.
 *
 * A request is one command after the other: as many as it is too long for one,
 * and for FUA where the command itself has none, SYNCHRONIZE CACHE behind them.
 *
 *   free → waiting ⇄ sent → done → free
 *                    sent → held → done, or sent again
 *
 * Invariants
 *   D1  A request has at most one command out. It is done only when none is:
 *       until then the server's bytes may still go to its data.
 *   D2  A READ is done without error only when each of its bytes was received.
 *   D3  The token changes whenever the server says that what it had not yet
 *       written may be lost, and whenever a SYNCHRONIZE CACHE may have failed:
 *       what it could not write the server need not keep, and may answer the
 *       next one as if nothing were missing. A write carries the token that
 *       held when its first command was sent; a FLUSH the one that held from
 *       when its command was sent until it was answered. So equal tokens prove.
 *       A UNIT ATTENTION goes with whichever command the server takes up next,
 *       and its status may come behind that of others (SAM-5 §5.14; RFC 7143
 *       §4.2.2.3.4 orders it only after the reset of many tasks). So one that
 *       is older than a SYNCHRONIZE CACHE may be heard of after it: what that
 *       has proven is held until all commands that were out beside it are
 *       answered, and none of them told of a loss.
 *   D4  What is sent again (a UNIT ATTENTION, BUSY) is sent until a deadline or
 *       a count; then it fails.
 *
 * Pure: the session is only reached through session_submit.
 */
#ifndef BH_PROTOCOLS_ISCSI_SCSI_DISK_H
#define BH_PROTOCOLS_ISCSI_SCSI_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "protocols/iscsi/scsi_cdb.h"
#include "protocols/iscsi/scsi_data.h"
#include "protocols/iscsi/scsi_probe.h"
#include "protocols/iscsi/session.h"
#include "protocols/proto.h"

/* What one READ or WRITE, and what one TRIM, ZERO or STATUS may cover. The
 * former is MaxBurstLength, as tgt does not end the sequences of longer READs.
 */
#define SCSI_REQUEST_MAX_BYTES (256u << 10)
#define SCSI_RANGE_MAX_BYTES (1u << 30)
/* Of one WRITE SAME that does not unmap, whatever limit the server names: it
 * has to write all of it before it answers, and each command has a time of its
 * own. And of one that unmaps where the server names no limit: it may write.
 */
#define SCSI_SAME_WRITTEN_BYTES (4u << 20)
#define SCSI_SAME_UNMAPPED_BYTES (16u << 20)

/* How long a request is sent again that the server is too busy for: less than
 * timeout=, after which the gateway would end the session.
 */
#define SCSI_PATIENCE_NS(request_ns) ((request_ns) / 6 * 5)
#define SCSI_PAUSE_LEAST_NS (5ull * 1000 * 1000)
#define SCSI_PAUSE_MOST_NS (1000ull * 1000 * 1000)
/* How often it is sent again for a UNIT ATTENTION or the like, and after it
 * had to be aborted.
 */
#define SCSI_TRIES 16u
#define SCSI_ABORTS 2u

enum scsi_trim_by { SCSI_TRIM_NOT, SCSI_TRIM_UNMAP, SCSI_TRIM_SAME };
enum scsi_zero_by { SCSI_ZERO_NOT, SCSI_ZERO_WRITES, SCSI_ZERO_UNMAPS };
enum scsi_trim_by
scsi_trim_by (const struct scsi_unit *u);
/* UNMAPS: where space may be given back; else, and where it must not, WRITES.
 */
enum scsi_zero_by
scsi_zero_by (const struct scsi_unit *u);

enum scsi_place {
  PLACE_FREE,
  PLACE_WAITING,
  PLACE_SENT,
  PLACE_HELD, /* a SYNCHRONIZE CACHE that is carried out: D3 */
  PLACE_DONE
};

#define SCSI_DESCRIPTORS 128u

struct scsi_request {
  struct proto_request r;
  enum scsi_place place;
  bool syncing;        /* at its SYNCHRONIZE CACHE */
  uint64_t at, end;    /* what is still to do, in bytes of the volume */
  uint32_t part_bytes; /* of the command that is out */
  unsigned tries, aborts, pauses;
  uint64_t retry_ns;    /* PLACE_WAITING: not before */
  uint64_t deadline_ns; /* for SCSI_VERDICT_LATER */
  uint32_t generation;  /* of its commands' tags: changes with each */
  uint64_t era;         /* when its first command was sent (D3) */
  uint64_t sent_era;    /* when its last one was */
  uint64_t serial;      /* of its last command */
  uint8_t cdb[SCSI_CDB_BYTES]; /* the same's */
  uint64_t held_for;    /* PLACE_HELD: all commands up to this one */
  enum err error;
  uint32_t extents;
  union {
    uint8_t unmap[SCSI_UNMAP_BYTES];
    uint8_t status[SCSI_LBA_STATUS_BYTES (SCSI_DESCRIPTORS)];
  } buffer;
};

/* Lines for the log that wait to be fetched; what does not fit is counted. */
#define SCSI_LINES 8u

struct scsi_disk {
  struct session *session;
  uint64_t lun; /* as on the wire */
  struct scsi_unit unit;
  struct volume_info info;
  uint64_t patience_ns;
  bool write_cache;      /* there is one, or nobody knows */
  bool no_write_same;    /* it has been refused */
  bool capacity_changed, inquiry_changed; /* has been said, and told */
  uint64_t era;          /* counts losses: see D3 */
  uint64_t random;
  uint8_t seed[IO_TOKEN_BYTES];
  uint8_t *zeroes; /* a block of them */
  uint64_t serial; /* counts commands */
  /* What is being looked at; NULL outside of scsi_disk_result. */
  const struct session_result *result;
  const struct scsi_sense *sense;
  unsigned waiting, held;
  unsigned lines_first, lines, lines_lost;
  char line[SCSI_LINES][PROTO_SAY_BYTES];
  unsigned free_count, done_first, done_count;
  uint8_t free[PROTO_REQUESTS]; /* last in, first out */
  uint8_t done[PROTO_REQUESTS]; /* first in, first out */
  struct scsi_request request[PROTO_REQUESTS];
};

/* d is zeroed memory: most of it is not touched before a request needs it.
 * ERR_NOMEM.
 */
enum err
scsi_disk_init (struct scsi_disk *d, struct session *session, uint64_t lun,
                const struct scsi_unit *unit,
                const uint8_t seed[IO_TOKEN_BYTES], uint64_t request_ns);
void
scsi_disk_fini (struct scsi_disk *d);

/* As proto_ops.submit and reap. */
enum err
scsi_disk_submit (struct scsi_disk *d, const struct proto_request *r,
                  uint64_t now_ns);
bool
scsi_disk_reap (struct scsi_disk *d, struct proto_completion *ret);

/* scsi_say.c: a line about the last command of q, which has failed for good; r
 * is what it was answered with, sense may be NULL.
 */
struct scsi_sense;
void
scsi_disk_complain (struct scsi_disk *d, const struct scsi_request *q,
                    const struct session_result *r,
                    const struct scsi_sense *sense);
/* A line about the LUN. */
void
scsi_disk_remark (struct scsi_disk *d, const char *text);
/* As proto_ops.say. */
bool
scsi_disk_say (struct scsi_disk *d, char *dst);

/* A result of one of its commands, or an event. */
void
scsi_disk_result (struct scsi_disk *d, const struct session_result *r,
                  uint64_t now_ns);
uint64_t
scsi_disk_deadline_ns (const struct scsi_disk *d);
void
scsi_disk_tick (struct scsi_disk *d, uint64_t now_ns);

#endif
