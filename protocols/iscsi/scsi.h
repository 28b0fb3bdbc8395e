/* SPDX-License-Identifier: BSD-2-Clause */
/* The SCSI layer, seen from the engine: what a LUN is (probe), and requests of
 * our user as SCSI commands of a session.
 *
 *   scsi_open → scsi_start → (scsi_result …) SCSI_PROBING → SCSI_READY
 *   → scsi_submit, scsi_result, scsi_reap …
 *
 * The engine calls scsi_result for everything that session_reap hands out, and
 * the SCSI layer calls session_submit whenever it likes inside its functions.
 * SCSI_FAILED is final.
 *
 * One engine, one thread; pure. Nothing is allocated after SCSI_READY.
 */
#ifndef BH_PROTOCOLS_ISCSI_SCSI_H
#define BH_PROTOCOLS_ISCSI_SCSI_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "common/listing.h"
#include "protocols/iscsi/session.h"
#include "protocols/proto.h"

struct scsi;

enum scsi_state { SCSI_PROBING, SCSI_READY, SCSI_FAILED };

struct scsi_setup {
  struct session *session; /* logged in; outlives the scsi */
  unsigned lun;            /* 0 … 16383; not for a list */
  bool list;               /* REPORT LUNS into a listing, and no more */
  uint8_t seed[16];        /* of proto_config: for tokens */
  uint64_t request_ns;     /* timeout= */
};

/* ERR_NOMEM. */
enum err
scsi_open (const struct scsi_setup *setup, struct scsi **ret);
void
scsi_close (struct scsi *x); /* NULL: nothing */

/* Sends the first commands of the probe. */
void
scsi_start (struct scsi *x, uint64_t now_ns);
enum scsi_state
scsi_state (const struct scsi *x);
/* Why SCSI_FAILED, until scsi_close. */
const struct fault *
scsi_fault (const struct scsi *x);

/* A result of the session. ERR_…: SCSI_FAILED. */
enum err
scsi_result (struct scsi *x, const struct session_result *r, uint64_t now_ns);

/* In SCSI_READY, not for a list: all but `remarks`, which the engine extends.
 */
void
scsi_info (const struct scsi *x, struct volume_info *ret);
/* In SCSI_READY, for a list: the LUNs. */
const struct listing *
scsi_listing (const struct scsi *x);

/* As proto_ops.submit and reap. */
enum err
scsi_submit (struct scsi *x, const struct proto_request *r, uint64_t now_ns);
bool
scsi_reap (struct scsi *x, struct proto_completion *ret);

/* As proto_ops.say. */
bool
scsi_say (struct scsi *x, char *dst);

/* When scsi_tick wants to be called (BUSY, TASK SET FULL back off). */
uint64_t
scsi_deadline_ns (const struct scsi *x);
enum err
scsi_tick (struct scsi *x, uint64_t now_ns);

#endif
