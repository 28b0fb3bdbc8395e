/* SPDX-License-Identifier: BSD-2-Clause */
/* Text keys (RFC 7143 §6.1, §6.2, §13): one table says of each key what kind
 * it is, its limits, its default, and which of two answers wins.
 *
 * Pure. Values are numbers: lists are sets of bits, booleans 0 and 1.
 */
#ifndef BH_PROTOCOLS_ISCSI_KEYS_H
#define BH_PROTOCOLS_ISCSI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/wire.h"

/* A key name has at most 63 bytes; a value 255 unless said otherwise (§6.1);
 * the longest that is: 1024 bytes of a CHAP_C in hexadecimal.
 */
#define KEYS_NAME_BYTES 63u
#define KEYS_VALUE_BYTES 8192u

/* X(id, name, kind, sessions, min, max, default, section)
 *   kinds (§6.2):
 *     LIST    the target picks one of what we offer; 1 None, 2 CRC32C
 *     AND, OR booleans
 *     MIN, MAX numbers: the smaller, or the larger one, counts
 *     OURS    a number that each side declares for itself
 *   sessions: N normal, D discovery
 */
#define KEYS_TABLE(X)                                                         \
  X (HEADER_DIGEST, "HeaderDigest", LIST, ND, 1, 3, 1, "13.1")                \
  X (DATA_DIGEST, "DataDigest", LIST, ND, 1, 3, 1, "13.1")                    \
  X (MAX_CONNECTIONS, "MaxConnections", MIN, N, 1, 65535, 1, "13.2")          \
  X (INITIAL_R2T, "InitialR2T", OR, N, 0, 1, 1, "13.10")                      \
  X (IMMEDIATE_DATA, "ImmediateData", AND, N, 0, 1, 1, "13.11")               \
  X (MAX_RECV_DATA, "MaxRecvDataSegmentLength", OURS, ND, 512, 0xffffff,      \
     8192, "13.12")                                                           \
  X (MAX_BURST, "MaxBurstLength", MIN, N, 512, 0xffffff, 262144, "13.13")     \
  X (FIRST_BURST, "FirstBurstLength", MIN, N, 512, 0xffffff, 65536, "13.14")  \
  X (TIME2WAIT, "DefaultTime2Wait", MAX, ND, 0, 3600, 2, "13.15")             \
  X (TIME2RETAIN, "DefaultTime2Retain", MIN, ND, 0, 3600, 20, "13.16")        \
  X (MAX_R2T, "MaxOutstandingR2T", MIN, N, 1, 65535, 1, "13.17")              \
  X (PDU_IN_ORDER, "DataPDUInOrder", OR, N, 0, 1, 1, "13.18")                 \
  X (SEQUENCE_IN_ORDER, "DataSequenceInOrder", OR, N, 0, 1, 1, "13.19")       \
  X (RECOVERY_LEVEL, "ErrorRecoveryLevel", MIN, ND, 0, 2, 0, "13.20")

enum keys_id {
#define X(id, name, kind, sessions, min, max, fallback, section) KEY_##id,
  KEYS_TABLE (X)
#undef X
  KEYS_COUNT
};

#define KEYS_NONE 1u
#define KEYS_CRC32C 2u

struct keys {
  bool discovery;
  uint32_t offered[KEYS_COUNT];
  uint32_t result[KEYS_COUNT]; /* MAX_RECV_DATA: the target's */
  bool answered[KEYS_COUNT];
};

/* Results are the defaults; what is offered is to be filled in. */
void keys_init (struct keys *k, bool discovery);

/* All that is offered, as text. */
void keys_offer (const struct keys *k, struct wirebuf *b);

/* The target says name=value. ERR_NOENT: no key of the table, nothing done;
 * ERR_PEER with f: it must not say that.
 */
enum err keys_answer (struct keys *k, const char *name, const char *value,
                      struct fault *f);

/* The section of a key of the table, or NULL. */
const char *keys_section (const char *name);

/* "name=value" NUL, printf-like. */
void keys_put (struct wirebuf *b, const char *name, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

/* The pair at *offset of a text, both NUL-terminated in ret_…; false at its
 * end. A text that breaks the rules of §6.1: false with *ret_error.
 */
struct keys_pair {
  char name[KEYS_NAME_BYTES + 1];
  const char *value; /* in the text */
};
bool keys_next (const uint8_t *text, size_t text_bytes, size_t *offset,
                struct keys_pair *ret, enum err *ret_error, struct fault *f);

/* Numbers as §6.1 has them, decimal or 0x…; false: none, or beyond max. */
bool keys_number (const char *value, uint32_t max, uint32_t *ret);
/* Binary values, 0x… or 0b…; 1 … dst_bytes bytes. */
bool keys_binary (const char *value, uint8_t *dst, size_t dst_bytes,
                  size_t *ret_bytes);
/* As 0x…. */
void keys_put_binary (struct wirebuf *b, const char *name,
                      const uint8_t *bytes, size_t length_bytes);

#endif
