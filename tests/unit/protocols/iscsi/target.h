/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of an iSCSI engine, for tests: takes apart what the engine
 * sends, and feeds it with PDUs in pieces of any size. The test is the target;
 * for what it does not care about there are a login and a LUN in memory here.
 */
#ifndef BH_TESTS_ISCSI_TARGET_H
#define BH_TESTS_ISCSI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/iscsi/iscsi.h"

#define TARGET_IQN "iqn.2026-01.com.example:disk"
#define TARGET_DISK_BYTES (4u << 20)
#define TARGET_LUN_WIRE 0x0001000000000000u /* LUN 1 */

/* One PDU of the engine. */
struct heard {
  uint8_t bhs[48];
  uint8_t opcode;
  uint32_t itt, data_bytes;
  const uint8_t *data; /* valid until the next target_hear */
};

struct target {
  struct proto *p;
  uint64_t now_ns;
  /* parameters; NULL: not set */
  const char *path, *list, *user, *target_user, *header_digest, *data_digest;
  const char *timeout;
  const char
      *keys; /* what the operational stage is answered with, NULs as \n */
  uint8_t identity[PROTO_IDENTITY_BYTES];
  uint8_t moved[64];
  size_t moved_bytes;
  struct fault open_fault;
  bool digests;
  unsigned luns; /* 1: LUN 1; else 256 too */

  uint32_t stat_sn, exp_cmd_sn, window; /* MaxCmdSN = ExpCmdSN + window */

  size_t rx_max_bytes; /* pieces of at most that; 0: any */
  uint64_t cut_at;     /* one more border in front of this byte; 0: none */
  uint64_t rx_bytes;
  uint64_t flip_at; /* this byte is sent wrong; 0: none */

  uint8_t *tx; /* what the engine has sent */
  size_t tx_bytes, tx_size_bytes, tx_at;
  uint8_t disk[TARGET_DISK_BYTES];
};

enum err target_open (struct target *t);
void target_close (struct target *t);

/* Lets the engine send all that it has. */
void target_pump (struct target *t);
/* The engine's next PDU; false: there is none. Checks padding and digests. */
bool target_hear (struct target *t, struct heard *h);
struct heard target_expect (struct target *t, uint8_t opcode);

/* A PDU for the engine: length, padding, digests, ExpCmdSN and MaxCmdSN are
 * filled in; StatSN too, and counted, if stat. Stops at the first error.
 */
enum err target_say (struct target *t, uint8_t *bhs, const void *data,
                     uint32_t data_bytes, bool stat);
enum err target_feed (struct target *t, const void *bytes, size_t n);

void put32 (uint8_t *p, uint32_t v);
uint32_t get32 (const uint8_t *p);

/* Ready-made PDUs. */
enum err target_login_response (struct target *t, const struct heard *request,
                                uint8_t flags, const char *keys);
enum err target_status (struct target *t, const struct heard *command,
                        uint8_t status, const void *sense, uint16_t n);
enum err target_data_in (struct target *t, const struct heard *command,
                         uint32_t data_sn, uint32_t offset, uint32_t length,
                         uint8_t flags);
enum err target_r2t (struct target *t, const struct heard *command,
                     uint32_t r2t_sn, uint32_t ttt, uint32_t offset,
                     uint32_t length);

/* The whole login, and the whole probe of a LUN; then the engine is READY. */
void target_login (struct target *t);
void target_start (struct target *t);
/* Carries out a command that is no READ or WRITE, or one of those too. */
void target_serve (struct target *t, const struct heard *command);

enum err target_submit (struct target *t, uint64_t id, enum io_op op,
                        uint64_t offset, uint32_t length, uint8_t *data);
/* True if request id, and nothing else, is done with this error. */
bool target_done (struct target *t, uint64_t id, enum err error);
/* True if the engine has failed and its fault has these words. */
bool target_failed (const struct target *t, const char *words);

#endif
