/* SPDX-License-Identifier: BSD-2-Clause */
/* A session and the LUN behind it, for tests of the SCSI layer: commands that
 * were submitted wait here until lun_serve carries the oldest one out.
 */
#ifndef BH_TESTS_ISCSI_LUN_H
#define BH_TESTS_ISCSI_LUN_H

#include <stdbool.h>
#include <stdint.h>

#include "protocols/iscsi/session.h"

struct session {
  struct session_command command[SESSION_COMMANDS];
  unsigned first, count;
  unsigned refuse; /* so many submits say ERR_AGAIN */
};

/* What the next commands with this opcode are answered with, instead of being
 * carried out; times counts down. opcode LUN_ANY: any.
 */
#define LUN_ANY 0x100u
struct lun_fault {
  unsigned opcode, times;
  enum session_outcome outcome;
  uint8_t status, key, asc, ascq;
  bool deferred;
};

struct lun {
  struct session session;
  uint64_t blocks;
  uint32_t block_bytes;
  uint8_t *store; /* block n is at n % store_blocks */
  uint64_t store_blocks;
  bool thin, no_capacity_16, no_mode_6, no_vpd, write_protect, write_cache;
  bool dpofua, no_such_lun, ten_only;
  bool no_identity, nameless; /* no VPD page 83h; one without a name of it */
  uint8_t type;
  uint32_t transfer_max, unmap_max, granularity, alignment;
  uint64_t write_same_max;
  uint32_t short_by; /* READs and WRITEs come short by that */
  struct lun_fault fault[4];
  unsigned served[256]; /* by opcode */
  uint8_t cdb[16];      /* of the last one */
  uint64_t unmapped_lba;
  uint32_t unmapped_blocks; /* of the last UNMAP */
};

void
lun_init (struct lun *l, uint64_t blocks, uint32_t block_bytes);
void
lun_fini (struct lun *l);
/* The oldest command is carried out; false if there is none. */
bool
lun_serve (struct lun *l, struct session_result *ret);

#endif
