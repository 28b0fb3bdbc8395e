/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of our user as READ, WRITE and fsync packets on one open file.
 *
 * A request that is larger than what the server takes at once is sent as
 * several parts of equal size, all under way together. A part whose answer is
 * short goes on with the rest. At most TRANSFER_PARTS parts are under way; what
 * is left of the requests waits here.
 *
 *   request:  to send ⇄ under way → done → free
 *   part:     free → sent → free, or → short → sent (a READ that goes on)
 *
 * Invariants
 *   T1  A request is in exactly one of: the queue to_send, the queue done, the
 *       queue free_requests, or (all issued, some parts open) none.
 *   T2  open_parts of a request = its parts that are not free. It gets to done
 *       only with open_parts = 0 and everything issued: until then the server's
 *       bytes may still go to its data, and ours come from there.
 *   T3  The id of a part changes with each packet that is sent for it, so that
 *       an answer fits one question only.
 *   T4  A READ is done without error only when each of its bytes was received.
 */
#ifndef BH_PROTOCOLS_SFTP_TRANSFER_H
#define BH_PROTOCOLS_SFTP_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/io.h"
#include "protocols/proto.h"
#include "protocols/queue.h"
#include "protocols/sftp/codec.h"
#include "protocols/outbox.h"

/* A power of two: a packet's id is a part's index and a count. */
#define TRANSFER_PART_BITS 10u
#define TRANSFER_PARTS (1u << TRANSFER_PART_BITS)

/* First in, first out, of indices into a table whose entries carry `next`. */
#define TRANSFER_NONE QUEUE_NONE

enum transfer_phase {
  TRANSFER_DATA, /* the READs or WRITEs */
  TRANSFER_SYNC, /* the fsync of FLUSH, or of FUA when its WRITEs are done */
};

struct transfer_request {
  struct proto_request r;
  enum transfer_phase phase;
  enum err error;        /* the first one */
  uint32_t part_bytes;   /* how large its parts are */
  uint32_t issued_bytes; /* how much of it has become parts */
  uint16_t open_parts;
  uint16_t next;
};

/* Those that ask for attributes are no request's: they have no
 * transfer_request.
 */
enum transfer_kind {
  TRANSFER_READ,
  TRANSFER_WRITE,
  TRANSFER_FSYNC,
  TRANSFER_FSTAT,
  TRANSFER_STAT,       /* of the path */
  TRANSFER_FSTAT_AGAIN /* behind it */
};

/* Has another file taken the name of the one that is open? SFTP has no number
 * of a file. But what a name and a handle say of the same file is the same if
 * the handle says the same before and after; so if the name says something
 * else, it is another one's. Each question waits for the last one's answer, as
 * servers may work at several at a time.
 */
enum transfer_name {
  TRANSFER_NAME_IDLE,
  TRANSFER_NAME_WANTED, /* the FSTAT is answered, the STAT not sent */
  TRANSFER_NAME_ASKED,
  TRANSFER_NAME_OTHER, /* it differs: the second FSTAT is not sent */
  TRANSFER_NAME_DOUBTED,
  TRANSFER_NAME_TAKEN, /* by another file: said once */
  TRANSFER_NAME_GONE   /* by nobody */
};
enum transfer_part_state { PART_FREE, PART_SENT, PART_SHORT };

struct transfer_part {
  enum transfer_part_state state;
  enum transfer_kind kind;
  uint32_t id;           /* of the packet that is, or was last, under way */
  uint32_t offset_bytes; /* in the request */
  uint32_t length_bytes;
  uint32_t done_bytes; /* received, READ only */
  uint64_t sent_at;    /* outbox.queued_bytes behind its packet */
  uint16_t request;
  uint16_t next;
};

struct transfer_setup {
  const struct sftp_handle *handle; /* outlives the transfer */
  const char *path;                 /* and so does that */
  uint64_t size_bytes;
  uint32_t read_max_bytes, write_max_bytes;
  uint32_t caps; /* VOLUME_CAN_… */
  bool fsync;    /* the server has it; else FLUSH and FUA prove nothing */
  uint8_t seed[IO_TOKEN_BYTES];
};

struct transfer {
  struct transfer_setup setup;
  struct queue to_send, done, free_requests; /* of requests */
  struct queue short_parts, free_parts;      /* of parts */
  bool fstat_wanted;   /* and no part is free yet */
  bool fstat_answered; /* by these: */
  struct sftp_attrs attrs;
  enum transfer_name name;
  bool name_gone, name_told;
  struct sftp_attrs opened; /* what the first FSTAT has said */
  struct transfer_request request[PROTO_REQUESTS];
  struct transfer_part part[TRANSFER_PARTS];
};

void
transfer_init (struct transfer *t, const struct transfer_setup *setup);

/* As proto_ops.submit and reap. */
enum err
transfer_submit (struct transfer *t, const struct proto_request *r);
bool
transfer_reap (struct transfer *t, struct proto_completion *ret);

/* Asks for the attributes of the open file. */
void
transfer_fstat (struct transfer *t);
/* True once they are there; flags 0: the server refused. */
bool
transfer_fstat_answer (struct transfer *t, struct sftp_attrs *ret);
/* The server answers id with attributes. ERR_PEER with f. */
enum err
transfer_attrs (struct transfer *t, const struct outbox *o, uint32_t id,
                const struct sftp_attrs *a, struct fault *f);

/* The name of the open file leads to another one, or to none (*ret_gone): true
 * once.
 */
bool
transfer_renamed (struct transfer *t, bool *ret_gone);

/* Queues packets for as long as there is room, and something to ask. */
void
transfer_fill (struct transfer *t, struct outbox *o);

/* The server answers id with length_bytes of data. *ret_data is where they
 * go: borrowed until transfer_data_received (*ret_part). ERR_PEER with f.
 */
enum err
transfer_data (const struct transfer *t, const struct outbox *o, uint32_t id,
               uint32_t length_bytes, uint8_t **ret_data, uint16_t *ret_part,
               struct fault *f);
void
transfer_data_received (struct transfer *t, uint16_t part,
                        uint32_t length_bytes);

/* The server answers id with a status. ERR_PEER with f. */
enum err
transfer_status (struct transfer *t, const struct outbox *o, uint32_t id,
                 uint32_t code, struct fault *f);

/* The server answers id with a packet that answers nothing we ask: always
 * ERR_PEER, with f.
 */
enum err
transfer_wrong_type (const struct transfer *t, const struct outbox *o,
                     uint32_t id, uint8_t type, struct fault *f);

#endif
