/* SPDX-License-Identifier: BSD-2-Clause */
/* A small iSCSI target with one LUN in memory, that breaks the rules on
 * demand. Between iscsi-target.c (connections, PDUs), iscsi-login.c and
 * iscsi-disk.c (the LUN).
 */
#ifndef BH_TESTS_FAKE_ISCSI_TARGET_H
#define BH_TESTS_FAKE_ISCSI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BHS_BYTES 48u
#define DATA_MAX_BYTES 262144u /* our MaxRecvDataSegmentLength */
#define BURST_BYTES 65536u     /* of one R2T */
#define NO_TAG 0xffffffffu
#define WRITES_MAX 128u

/* X(name on the command line, what it does) */
#define BAD_TABLE(X)                                                           \
  X (none, "everything is done right")                                         \
  /* instead of a READ's data */                                               \
  X (truncated, "half a Data-In, then the connection ends")                    \
  X (oversized, "a Data-In longer than the initiator takes")                   \
  X (datasn, "a Data-In whose DataSN jumps")                                   \
  X (offset, "a Data-In whose Buffer Offset jumps")                            \
  X (overflow, "a Data-In that goes beyond what was asked for")                \
  X (wrap, "a Data-In whose Buffer Offset and length wrap around")             \
  X (unknown, "a PDU with an opcode that there is not")                        \
  X (initiator, "a PDU that only an initiator may send")                       \
  X (itt, "a response to a command that was never sent")                       \
  X (data_itt, "a Data-In for a command that was never sent")                  \
  X (duplicate, "the final response twice")                                    \
  X (reordered, "the response with a StatSN of later, then that of now")       \
  X (statsn, "a StatSN that jumps")                                            \
  X (ahs, "the answer behind 255 words of AHS, which is right")                \
  X (header_digest, "a wrong header digest")                                   \
  X (data_digest, "a wrong data digest")                                       \
  X (short_data, "GOOD, and less data than asked for, without a residual")     \
  X (r2t_read, "an R2T for a READ")                                            \
  X (reject, "a Reject of something that was never sent")                      \
  X (close, "the connection ends")                                             \
  X (silent, "no answer, whatever comes")                                      \
  X (medium, "MEDIUM ERROR, unrecovered read error at LBA 77")                 \
  X (chatty, "no answer, whatever comes, but a NOP-In every 50 ms")            \
  X (slow, "the answer byte by byte")                                          \
  X (late_attention, "none until the next flush, before which all that was "   \
                     "not flushed is lost: first that is GOOD, then the READ " \
                     "tells of it")                                            \
  /* instead of the first R2T of a WRITE */                                    \
  X (r2t_flood, "R2Ts without end")                                            \
  X (r2t_overflow, "an R2T whose offset and length wrap around")               \
  X (r2t_beyond, "an R2T beyond the end of the WRITE")                         \
  X (r2t_burst, "an R2T of more than MaxBurstLength")                          \
  X (r2t_empty, "an R2T of no bytes")                                          \
  X (r2t_itt, "an R2T for a command that was never sent")                      \
  X (r2t_sn, "an R2T whose R2TSN jumps")                                       \
  /* at login */                                                               \
  X (text, "login text without end")                                           \
  X (redirect, "a redirect to itself, without end")                            \
  X (key, "a key without a value")                                             \
  X (number, "a number that is none")                                          \
  X (huge, "a MaxBurstLength larger than there may be")                        \
  X (stage, "a stage that was not asked for")

enum bad {
#define X(name, text) BAD_##name,
  BAD_TABLE (X)
#undef X
      BADS
};

struct write_task {
  bool used;
  uint32_t itt, ttt, r2t_sn, total_bytes, got_bytes, asked_bytes;
  uint8_t cdb[16];
  uint8_t *data;
};

struct connection {
  int fd; /* -1: free */
  bool full_feature, discovery, attention, silent, chatty, endless;
  bool header_digest, data_digest; /* from full feature on */
  bool digest_wanted_h, digest_wanted_d;
  uint8_t isid[6];
  uint16_t tsih, cid;
  uint32_t stat_sn, exp_cmd_sn;
  uint32_t max_data_bytes; /* the initiator's MaxRecvDataSegmentLength */
  uint32_t max_burst_bytes;
  bool immediate;
  uint8_t attention_asc, attention_ascq; /* 0: power on */
  bool held; /* a READ that is not answered yet: late_attention */
  uint32_t held_itt;
  size_t held_bytes;
  struct write_task write[WRITES_MAX];
};

struct disk {
  uint64_t bytes;
  uint32_t block_bytes;
  uint8_t *cache, *stable; /* what is read; what a reboot leaves */
  uint8_t *dirty;          /* by block */
  uint64_t reads, writes, flushes;
};

#define CONNECTIONS_MAX 16
struct target {
  const char *name;
  uint16_t port;
  int listener;
  bool digests, initial_r2t;
  struct disk disk;
  unsigned reboots, logins;
  uint16_t last_tsih;
  /* Logins are sent on: to where, with which status, how often (-1: always) */
  char redirect_to[64];
  uint16_t redirect_status;
  long redirect_left;
  enum bad bad;
  long bad_left; /* -1: for good */
  struct connection connection[CONNECTIONS_MAX];
};

/* What a command is answered with. */
struct reply {
  uint8_t status;
  uint8_t sense[18];
  size_t sense_bytes;
  const uint8_t *data;
  size_t data_bytes;
};

/* ------------------------------------------------------- iscsi-disk.c --- */
void
disk_init (struct disk *d, uint64_t bytes, uint32_t block_bytes);
/* data: of a write, all of it. */
void
disk_command (struct disk *d, struct connection *c, const uint8_t cdb[16],
              bool lun_0, const uint8_t *data, size_t data_bytes,
              struct reply *ret);
/* Forgets what was not flushed; returns how many blocks. */
uint64_t
disk_reboot (struct disk *d);

/* ------------------------------------------------------ iscsi-login.c --- */
/* A Login or Text Request with its text. False: the connection ends. */
bool
login_request (struct target *t, struct connection *c, const uint8_t *bhs,
               char *text, size_t text_bytes);
bool
text_request (struct target *t, struct connection *c, const uint8_t *bhs,
              char *text, size_t text_bytes);

/* ----------------------------------------------------- iscsi-answer.c --- */
/* The header that all responses have in common. */
void
pdu_head (struct connection *c, uint8_t r[BHS_BYTES], uint8_t opcode,
          uint8_t flags, uint32_t itt);
/* DataSegmentLength and digests are put in. False: it cannot be sent. */
bool
send_pdu (struct target *t, struct connection *c, uint8_t bhs[BHS_BYTES],
          const void *data, size_t data_bytes);
/* expected: the command's; got: what was transferred. */
bool
send_response (struct target *t, struct connection *c, uint32_t itt,
               const struct reply *reply, size_t expected, size_t got);
/* A READ's, with its status. */
bool
send_data (struct target *t, struct connection *c, uint32_t itt,
           const struct reply *reply, size_t expected);

enum badly { BADLY_NOT, BADLY_DONE, BADLY_END };

/* If that is what the target does now. END: the connection ends. */
enum badly
answer_badly (struct target *t, struct connection *c, uint32_t itt,
              const struct reply *reply, size_t expected);

/* ---------------------------------------------------- iscsi-request.c --- */
/* One PDU, waited for to its end, and what it asks for. False: the connection
 * ends.
 */
bool
receive_pdu (struct target *t, struct connection *c);

/* ------------------------------------------------------ iscsi-bytes.c --- */
void
put16 (uint8_t *p, uint32_t v);
void
put24 (uint8_t *p, uint32_t v);
void
put32 (uint8_t *p, uint32_t v);
uint32_t
get24 (const uint8_t *p);
uint32_t
get32 (const uint8_t *p);
/* RFC 7143 §13.1: CRC32C, as it goes on the wire. */
void
crc32c (const uint8_t *p, size_t n, uint8_t ret[4]);
bool
receive_all (int fd, void *p, size_t n);
bool
send_all (int fd, const void *p, size_t n);

/* ----------------------------------------------------- iscsi-target.c --- */
/* True once for each time that it is to be done. */
bool
bad_now (struct target *t, enum bad b);

#endif
