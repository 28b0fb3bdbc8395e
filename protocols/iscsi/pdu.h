/* SPDX-License-Identifier: BSD-2-Clause */
/* The Basic Header Segments of iSCSI (RFC 7143 §11): what an initiator sends is
 * encoded, what it gets is decoded. Headers only; digests, padding and data
 * segments are the business of who moves them (stream.h).
 *
 * Pure. Field names are the RFC's.
 */
#ifndef BH_PROTOCOLS_ISCSI_PDU_H
#define BH_PROTOCOLS_ISCSI_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define PDU_BHS_BYTES 48u
/* TotalAHSLength is a byte of four-byte words (§11.2.1.5). */
#define PDU_AHS_MAX_BYTES (255u * 4u)
#define PDU_DIGEST_BYTES 4u
/* DataSegmentLength is 24 bits (§11.2.1.6). */
#define PDU_DATA_MAX_BYTES 0xffffffu
#define PDU_CDB_BYTES 16u

/* ITT and TTT that name nothing (§11.2.1.8, §11.18.2). */
#define PDU_NO_TAG 0xffffffffu

enum pdu_opcode {
  /* initiator's (§11.2.1.2) */
  PDU_NOP_OUT = 0x00,
  PDU_SCSI_COMMAND = 0x01,
  PDU_TASK_REQUEST = 0x02,
  PDU_LOGIN_REQUEST = 0x03,
  PDU_TEXT_REQUEST = 0x04,
  PDU_DATA_OUT = 0x05,
  PDU_LOGOUT_REQUEST = 0x06,
  /* target's */
  PDU_NOP_IN = 0x20,
  PDU_SCSI_RESPONSE = 0x21,
  PDU_TASK_RESPONSE = 0x22,
  PDU_LOGIN_RESPONSE = 0x23,
  PDU_TEXT_RESPONSE = 0x24,
  PDU_DATA_IN = 0x25,
  PDU_LOGOUT_RESPONSE = 0x26,
  PDU_R2T = 0x31,
  PDU_ASYNC = 0x32,
  PDU_REJECT = 0x3f,
};

/* As the RFC calls it: "SCSI Data-In"; NULL: no opcode of a target or of ours.
 */
const char *pdu_opcode_name (uint8_t opcode);
/* Where RFC 7143 describes it: "11.7". */
const char *pdu_opcode_section (uint8_t opcode);

/* Bytes that pad a data segment to four (§11.1). */
static inline uint32_t
pdu_padding (uint32_t data_bytes)
{
  return -data_bytes & 3u;
}

/* Serial number arithmetic (RFC 1982, RFC 7143 §4.2.2.1): a < b. */
static inline bool
serial_before (uint32_t a, uint32_t b)
{
  return (int32_t)(a - b) < 0;
}

/* --------------------------------------------------- what a target sends ---
 */

/* §11.4: underflow, overflow of SCSI Response and of a Data-In with status */
#define PDU_RESIDUAL_OVERFLOW 0x04u
#define PDU_RESIDUAL_UNDERFLOW 0x02u

enum pdu_response { /* §11.4.3 */
  PDU_COMPLETED_AT_TARGET = 0x00,
  PDU_TARGET_FAILURE = 0x01,
};

enum pdu_async_event { /* §11.9.1 */
  PDU_ASYNC_SCSI = 0,
  PDU_ASYNC_LOGOUT = 1,
  PDU_ASYNC_DROP_CONNECTION = 2,
  PDU_ASYNC_DROP_ALL = 3,
  PDU_ASYNC_NEGOTIATE = 4,
  PDU_ASYNC_TASKS_TERMINATED = 5,
  PDU_ASYNC_VENDOR = 255,
};

/* One decoded header of a target. The fields of every PDU come first; those
 * that a PDU does not have are 0 (tags: as they stand there).
 */
struct pdu {
  enum pdu_opcode opcode;
  uint32_t ahs_bytes;
  uint32_t data_bytes; /* DataSegmentLength, without padding */
  uint64_t lun;
  uint32_t itt, ttt;
  uint32_t stat_sn, exp_cmd_sn, max_cmd_sn;
  bool final; /* F bit, or T bit of a Login Response */
  union {
    struct { /* §11.4 */
      uint8_t residual_flags; /* PDU_RESIDUAL_… */
      uint8_t response, status;
      uint32_t exp_data_sn, residual;
    } scsi_response;
    struct { /* §11.7 */
      bool acknowledge, has_status;
      uint8_t residual_flags, status;
      uint32_t data_sn, buffer_offset, residual;
    } data_in;
    struct { /* §11.8 */
      uint32_t r2t_sn, buffer_offset, desired_bytes;
    } r2t;
    struct { /* §11.6 */
      uint8_t response;
    } task_response;
    struct { /* §11.9 */
      uint8_t event, vendor_code;
      uint16_t parameter1, parameter2, parameter3;
    } async;
    struct { /* §11.11 */
      bool more; /* C bit */
    } text_response;
    struct { /* §11.13 */
      bool more;
      uint8_t csg, nsg, version_max, version_active, status_class,
          status_detail;
      uint8_t isid[6];
      uint16_t tsih;
    } login_response;
    struct { /* §11.15 */
      uint8_t response;
      uint16_t time2wait_s, time2retain_s;
    } logout_response;
    struct { /* §11.17 */
      uint8_t reason;
      uint32_t data_sn;
    } reject;
  };
};

/* ERR_PEER with f, naming field and section, if this is no header that a
 * target may send. Reserved bits are not looked at (§11.1: they are ignored).
 */
enum err pdu_decode (const uint8_t bhs[PDU_BHS_BYTES], struct pdu *ret,
                     struct fault *f);

/* --------------------------------------------------- what we send --------- */

struct pdu_scsi_command { /* §11.3 */
  bool final, read, write;
  uint64_t lun;
  uint32_t itt, expected_bytes, cmd_sn, exp_stat_sn, data_bytes;
  const uint8_t *cdb; /* PDU_CDB_BYTES; attribute SIMPLE */
};

struct pdu_data_out { /* §11.7 */
  bool final;
  uint64_t lun;
  uint32_t itt, ttt, exp_stat_sn, data_sn, buffer_offset, data_bytes;
};

struct pdu_nop_out { /* §11.18; immediate always */
  uint64_t lun;
  uint32_t itt, ttt, cmd_sn, exp_stat_sn, data_bytes;
};

enum pdu_task_function { /* §11.5.1 */
  PDU_ABORT_TASK = 1,
  PDU_LUN_RESET = 5,
};

struct pdu_task_request { /* §11.5; immediate always */
  enum pdu_task_function function;
  uint64_t lun;
  uint32_t itt, referenced_itt, cmd_sn, exp_stat_sn, ref_cmd_sn;
};

enum pdu_stage { /* §11.12.3 */
  PDU_STAGE_SECURITY = 0,
  PDU_STAGE_OPERATIONAL = 1,
  PDU_STAGE_FULL_FEATURE = 3,
};

struct pdu_login_request { /* §11.12 */
  bool transit, more;
  uint8_t csg, nsg;
  uint8_t isid[6];
  uint16_t tsih, cid;
  uint32_t itt, cmd_sn, exp_stat_sn, data_bytes;
};

struct pdu_text_request { /* §11.10; immediate always */
  bool final, more;
  uint64_t lun;
  uint32_t itt, ttt, cmd_sn, exp_stat_sn, data_bytes;
};

enum pdu_logout_reason { PDU_CLOSE_SESSION = 0, PDU_CLOSE_CONNECTION = 1 };

struct pdu_logout_request { /* §11.14; immediate always */
  enum pdu_logout_reason reason;
  uint16_t cid;
  uint32_t itt, cmd_sn, exp_stat_sn;
};

void pdu_encode_scsi_command (uint8_t bhs[PDU_BHS_BYTES],
                              const struct pdu_scsi_command *c);
void pdu_encode_data_out (uint8_t bhs[PDU_BHS_BYTES],
                          const struct pdu_data_out *d);
void pdu_encode_nop_out (uint8_t bhs[PDU_BHS_BYTES],
                         const struct pdu_nop_out *n);
void pdu_encode_task_request (uint8_t bhs[PDU_BHS_BYTES],
                              const struct pdu_task_request *t);
void pdu_encode_login_request (uint8_t bhs[PDU_BHS_BYTES],
                               const struct pdu_login_request *l);
void pdu_encode_text_request (uint8_t bhs[PDU_BHS_BYTES],
                              const struct pdu_text_request *t);
void pdu_encode_logout_request (uint8_t bhs[PDU_BHS_BYTES],
                                const struct pdu_logout_request *l);

#endif
