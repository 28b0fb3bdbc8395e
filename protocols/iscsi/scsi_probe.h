/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds out what a LUN is, one command at a time:
 *
 *   TEST UNIT READY → INQUIRY → VPD 00h → those of 80h, 83h, B0h, B1h, B2h that
 *   there are → READ CAPACITY(16), or (10) → MODE SENSE → GET LBA STATUS if it
 *   is provisioned thinly → done
 *
 * or, for a list, REPORT LUNS → INQUIRY and READ CAPACITY(16) of each → done.
 * What a server need not have may fail; what is needed to serve a disk may not.
 * UNIT ATTENTIONs are taken note of by sending a command again; a LUN that is
 * not ready yet is waited for.
 *
 * Pure: the session is only reached through session_submit.
 */
#ifndef BH_PROTOCOLS_ISCSI_SCSI_PROBE_H
#define BH_PROTOCOLS_ISCSI_SCSI_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "protocols/iscsi/scsi_data.h"
#include "protocols/iscsi/session.h"
#include "protocols/proto.h"

/* For all of it, waiting for the LUN included. */
#define SCSI_PROBE_TIMEOUT_NS PROTO_START_WAIT_NS
/* Between two tries of a LUN that is busy or not ready. */
#define SCSI_PROBE_PAUSE_NS (500ull * 1000 * 1000)
/* How often a command is sent again for a UNIT ATTENTION or the like. */
#define SCSI_PROBE_TRIES 16u
#define SCSI_PROBE_LUNS 1024u

enum scsi_probe_step {
  PROBE_READY, /* TEST UNIT READY */
  PROBE_INQUIRY,
  PROBE_VPD_PAGES,
  PROBE_VPD_SERIAL,
  PROBE_VPD_IDENTITY,
  PROBE_VPD_LIMITS,
  PROBE_VPD_CHARACTERISTICS,
  PROBE_VPD_PROVISIONING,
  PROBE_CAPACITY_16,
  PROBE_CAPACITY_10,
  PROBE_MODE,        /* the caching page by MODE SENSE(6) */
  PROBE_MODE_LONGER, /* by MODE SENSE(10) */
  PROBE_MODE_ALL,    /* all pages by MODE SENSE(6) */
  PROBE_LBA_STATUS,
  PROBE_LUNS,
  PROBE_LUN_INQUIRY,  /* of each LUN of the list, */
  PROBE_LUN_CAPACITY, /* and of those that are disks */
  PROBE_DONE,
};

/* What was found out. */
struct scsi_unit {
  struct scsi_inquiry inquiry;
  struct scsi_vpd_pages pages;
  char serial[SCSI_SERIAL_BYTES];
  char identity[SCSI_IDENTITY_BYTES];
  struct scsi_limits limits;
  struct scsi_characteristics characteristics;
  struct scsi_provisioning provisioning;
  struct scsi_capacity capacity;
  struct scsi_mode mode;
  bool has_mode;
  bool has_lba_status;
  /* SCSI_NOTE_CAPACITY, _MODE, _RESET: changed since it was asked */
  uint32_t notes;
};

/* One of a list. */
struct scsi_listed {
  uint16_t lun;
  bool disk;
  uint64_t size; /* 0: not known */
  char description[32];
};

struct scsi_probe {
  struct session *session;
  uint64_t lun; /* as on the wire */
  uint64_t tag; /* of the command that is out; changes with each */
  enum scsi_probe_step step;
  unsigned tries;
  bool open;            /* a command is out */
  uint64_t retry_ns;    /* if none is: when the next one goes */
  uint64_t deadline_ns; /* of the whole */
  char last[200];       /* why it waits */
  struct scsi_unit unit;
  unsigned luns, luns_total, lun_at;
  struct scsi_listed listed[SCSI_PROBE_LUNS];
  uint16_t lun_list[SCSI_PROBE_LUNS];
  uint8_t buffer[SCSI_LUNS_BYTES (SCSI_PROBE_LUNS)];
};

/* tags from first_tag on are its own. */
void
scsi_probe_init (struct scsi_probe *p, struct session *session, uint64_t lun,
                 bool list, uint64_t first_tag);
/* Sends its first command. Errors as scsi_probe_result. */
enum err
scsi_probe_start (struct scsi_probe *p, uint64_t now_ns, struct fault *f);
/* The result of a command of its own; PROBE_DONE may be reached. An error is
 * final: the LUN cannot be served, and f says why.
 */
enum err
scsi_probe_result (struct scsi_probe *p, const struct session_result *r,
                   uint64_t now_ns, struct fault *f);
uint64_t
scsi_probe_deadline_ns (const struct scsi_probe *p);
enum err
scsi_probe_tick (struct scsi_probe *p, uint64_t now_ns, struct fault *f);

/* Of a disk: everything but remarks of the session. */
void
scsi_unit_info (const struct scsi_unit *u, struct volume_info *ret);

#endif
