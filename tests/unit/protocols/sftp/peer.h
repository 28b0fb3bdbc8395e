/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of an engine, for tests: takes what the engine sends apart,
 * and feeds it with packets in pieces of any size. The test is the server.
 */
#ifndef BH_TESTS_SFTP_PEER_H
#define BH_TESTS_SFTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"
#include "protocols/sftp/codec.h"
#include "protocols/sftp/sftp.h"

#define PEER_FILE_BYTES (8u * 1024 * 1024)
#define PEER_REGULAR 0100644u
#define PEER_HANDLE "h\0ndle" /* a NUL inside: it is no C string */
#define PEER_HANDLE_BYTES 6u

/* One packet of the engine. */
struct peer_ask {
  uint8_t type;
  uint32_t id;
  char name[64];   /* EXTENDED */
  char path[4200]; /* STAT, OPEN, OPENDIR, REMOVE */
  uint32_t pflags; /* OPEN */
  uint64_t offset; /* READ, WRITE */
  uint32_t length;
  const uint8_t *data; /* WRITE; valid until the next peer_ask */
};

struct peer {
  struct proto *p;
  uint64_t now_ns;
  const char *path, *unsafe, *list; /* parameters; NULL: not set */
  struct fault open_fault;

  /* How received bytes are cut: in pieces of at most rx_max_bytes (0: any), at
   * random if rng is not 0, and once more at cut_at (0: not).
   */
  size_t rx_max_bytes;
  uint64_t cut_at;
  uint64_t rng;
  uint64_t rx_bytes; /* so far */
  /* The byte with this number is sent wrong: xor flip_mask (0: none is). What
   * the engine says after that is not checked.
   */
  uint64_t flip_at;
  uint8_t flip_mask;

  uint8_t *tx; /* what the engine has sent, */
  size_t tx_bytes, tx_size_bytes;
  size_t tx_at;    /* and how far it has been taken apart */
  uint64_t tx_sum; /* a checksum over all of it */
};

/* Opens an engine: of path, and of unsafe, as set by the caller. */
enum err
peer_open (struct peer *s);
void
peer_close (struct peer *s);
uint32_t
peer_random (struct peer *s, uint32_t below);

/* Lets the engine send all that it has. */
void
peer_pump (struct peer *s);
/* The engine's next whole packet; false if there is none. A packet that is
 * not as the draft says fails the test.
 */
bool
peer_ask (struct peer *s, struct peer_ask *ret);
/* … which must be of this type. */
struct peer_ask
peer_expect (struct peer *s, uint8_t type);

/* Bytes for the engine. Stops at the first error, which it returns. */
enum err
peer_feed (struct peer *s, const void *bytes, size_t length_bytes);

/* A packet: length and type are put in front of body. */
enum err
peer_packet (struct peer *s, uint8_t type, const struct wirebuf *body);
enum err
peer_version (struct peer *s, uint32_t version, const char *ext1,
              const char *data1, const char *ext2, const char *data2);
enum err
peer_status (struct peer *s, uint32_t id, uint32_t code);
enum err
peer_handle (struct peer *s, uint32_t id);
enum err
peer_attrs (struct peer *s, uint32_t id, uint64_t size, uint32_t permissions);
enum err
peer_limits (struct peer *s, uint32_t id, uint64_t packet, uint64_t read,
             uint64_t write);
enum err
peer_data (struct peer *s, uint32_t id, const uint8_t *data,
           uint32_t length_bytes);

/* Whole start-ups: with fsync and limits of read and write bytes (0: no
 * limits extension).
 */
void
peer_start (struct peer *s, uint64_t read_max, uint64_t write_max);

enum err
peer_submit (struct peer *s, uint64_t id, enum io_op op, uint64_t offset,
             uint32_t length, uint8_t *data);
/* True if request id, and nothing else, is done with this error. */
bool
peer_done (struct peer *s, uint64_t id, enum err error);

#endif
