/* SPDX-License-Identifier: BSD-2-Clause */
/* What a protocol engine is: sans-I/O. It makes no system call, has no global,
 * reads no clock. The worker's loop feeds it bytes, requests and the time; it
 * hands back bytes to send, completions and its next deadline. The same object
 * runs in the worker, in a fuzzer and in a simulator.
 *
 * Life: open → (bytes go to and fro) → PROTO_READY → submit/reap … → close.
 * PROTO_FAILED is final for an engine: a new session is a new engine (in a new
 * worker). After PROTO_FAILED only fault and close may be called.
 *
 * Thread rule: one engine, one thread. Time is CLOCK_MONOTONIC in ns, handed
 * in, and never goes back.
 *
 * Adding a protocol: a folder below protocols/, one line in registry.c and one
 * in params.c.
 */
#ifndef BH_PROTOCOLS_PROTO_H
#define BH_PROTOCOLS_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/err.h"
#include "common/io.h"
#include "common/param.h"
#include "common/want.h"

/* An engine never has more requests from its user in flight. */
#define PROTO_REQUESTS 128u
/* Most pieces that tx_iov returns. */
#define PROTO_TX_IOV 64u

#define PROTO_NO_DEADLINE UINT64_MAX

/* What a session may take from its first byte to PROTO_READY; and for how much
 * of that an engine waits for a server that is not ready yet, so that it is the
 * engine that says why it was in vain.
 */
#define PROTO_START_NS (20 * 1000000000ull)
#define PROTO_START_WAIT_NS (18 * 1000000000ull)

/* A line of `say`, with its NUL. */
#define PROTO_SAY_BYTES 256u

/* What carries the engine's bytes. */
enum proto_transport {
  PROTO_OVER_TCP,           /* the bytes of the TCP stream */
  PROTO_OVER_TLS,           /* the same, through TLS: see hello */
  PROTO_OVER_SSH_SUBSYSTEM, /* the bytes of an SSH channel's subsystem */
};

enum proto_state {
  PROTO_STARTING, /* negotiating; submit is not allowed yet */
  PROTO_READY,
  PROTO_FAILED,
};

/* How open reads the parameters that carry PARAM_TO_WORKER. */
struct proto_config {
  const char *(*get) (void *ctx, const char *key); /* NULL: not set */
  void *ctx;
  /* Random bytes for this session alone: seeds identifiers and tokens, so that
   * no two sessions have the same token.
   */
  uint8_t seed[16];
  /* PROTO_IDENTITY_BYTES that outlive the session (ISID, client id, slots,
   * XIDs): all zero at first, later what the last engine of this connection
   * left there, or a liar: copy, check, use. The engine writes it whenever it
   * likes, until close. NULL: there is none.
   */
  uint8_t *identity;
  /* What the last engine handed over with PROTO_WANT_MOVE. As untrusted. */
  const uint8_t *moved;
  size_t moved_bytes;
  unsigned connection; /* 0 … connections-1: which one of the volume's */
  /* How many lanes there are, and how many the user allows this session; 0
   * counts as 1. Lane 0 is that of the login; an engine that knows of one only
   * never touches the others. It asks for more by PROTO_WANT_MOVE, and may be
   * given fewer than it asked for.
   */
  unsigned lanes, lanes_wanted;
};

#define PROTO_IDENTITY_BYTES 4096u
#define PROTO_HELLO_BYTES 128u

/* offset and length in bytes. data has length bytes: where the payload of a
 * READ goes, or the payload of a WRITE (it does not change before the
 * completion, but the engine only reads it); for a STATUS, where its extents go
 * (IO_EXTENTS_MAX of them; length is of the range asked about); NULL otherwise.
 * A length of 0 is legal for FLUSH only. offset + length <= info.size was
 * checked by the caller.
 */
struct proto_request {
  uint64_t id;
  uint64_t tag; /* the same when it is sent again to a later session; no other
                   request of this volume ever has it */
  enum io_op op;
  uint32_t flags; /* IO_FUA, IO_NO_HOLE */
  uint64_t offset;
  uint32_t length;
  uint8_t *data;
};

/* error: ERR_OK or what failed. A READ with ERR_OK has delivered every byte.
 * token: see DESIGN, invariant 4: a FLUSH with the same token as a WRITE
 * proves that write stable. All zero: nothing will ever prove it.
 */
struct proto_completion {
  uint64_t id;
  enum err error;
  uint32_t extents; /* STATUS: how many */
  uint8_t token[IO_TOKEN_BYTES];
};

struct proto; /* each engine has its own */

struct proto_ops {
  const char *name; /* URL scheme, folder, worker argument */
  enum proto_transport transport;
  const char *ssh_subsystem; /* PROTO_OVER_SSH_SUBSYSTEM: its name */

  /* Starts an engine; *ret is the caller's until close. Errors in the
   * configuration go into f. ERR_INVAL, ERR_NOMEM.
   */
  enum err (*open) (const struct proto_config *config, uint64_t now_ns,
                    struct proto **ret, struct fault *f);
  void (*close) (struct proto *p);

  enum proto_state (*state) (const struct proto *p);
  /* Why PROTO_FAILED; valid until close. */
  const struct fault *(*fault) (const struct proto *p);
  /* In PROTO_READY: constant for the life of the engine. */
  void (*info) (const struct proto *p, struct volume_info *ret);

  /* Takes a request; never blocks. ERR_AGAIN if PROTO_REQUESTS are in flight,
   * ERR_INVAL for an operation that info does not offer.
   */
  enum err (*submit) (struct proto *p, const struct proto_request *r,
                      uint64_t now_ns);
  /* Next completion; false if there is none. */
  bool (*reap) (struct proto *p, struct proto_completion *ret);

  /* Bytes of a lane: 0 … config.lanes-1, each a stream of its own. In whatever
   * order their bytes come and go, what is answered is the same. A call for one
   * lane, or any other, may give another lane something to send: all are asked
   * until a round has found nothing.
   */

  /* Where the next received bytes go: a header buffer of the engine, or
   * straight a request's data. iov_len > 0 always. The place is valid until
   * the next call of any function of this engine but tx_iov and tx_done.
   */
  struct iovec (*rx_iov) (struct proto *p, unsigned lane);
  /* length_bytes (<= iov_len of the last rx_iov) have been put there. ERR_PEER
   * and PROTO_FAILED if the peer broke the protocol. Any fragmentation of the
   * same bytes gives the same result.
   */
  enum err (*rx_done) (struct proto *p, unsigned lane, size_t length_bytes,
                       uint64_t now_ns);

  /* What to send next, at most max (<= PROTO_TX_IOV) pieces: headers, and
   * payload straight out of requests' data. Returns how many; 0: nothing.
   * They stay valid until tx_done; the same bytes are returned again until
   * then.
   */
  size_t (*tx_iov) (struct proto *p, unsigned lane, struct iovec *ret,
                    size_t max);
  /* The first length_bytes of them are sent. */
  void (*tx_done) (struct proto *p, unsigned lane, size_t length_bytes);

  /* Optional. The transport of a lane but 0 has ended, by the server or the
   * network. True: the session does not need it; nothing is asked or told about
   * that lane any more. False, or no such function: the session is over, as
   * with lane 0: see lost.
   */
  bool (*lane_lost) (struct proto *p, unsigned lane, uint64_t now_ns);

  /* Optional, both or none. The next question to the daemon, once; false if
   * there is none. At most one is open at a time. give: its answer, in any
   * state; ERR_PEER and PROTO_FAILED if it cannot go on with that.
   */
  bool (*want) (struct proto *p, struct proto_want *ret);
  enum err (*give) (struct proto *p, const struct proto_given *g,
                    uint64_t now_ns);

  /* Optional, both or none. Asks the server whether the object is as it was;
   * in PROTO_READY, at most one question is open. probed: the answer, once;
   * false if there is none yet. change as in volume_info (0: not known), size
   * in bytes.
   */
  void (*probe) (struct proto *p, uint64_t now_ns);
  bool (*probed) (struct proto *p, uint64_t *ret_change, uint64_t *ret_size);

  /* Optional. The next line for the user's log, once: why the server has
   * refused a request, which its client hears of as an errno only. dst has
   * PROTO_SAY_BYTES. False: there is none. What was not fetched for long may be
   * forgotten.
   */
  bool (*say) (struct proto *p, char *dst);

  /* Optional. The transport has ended, by the server or the network: the last
   * that an engine is told before it is closed. A worker that is killed does
   * not come to it.
   */
  void (*lost) (struct proto *p, uint64_t now_ns);

  /* Optional. Says goodbye: what tx_iov returns from now on ends with a clean
   * end of the session (LOGOUT, DESTROY_SESSION). No submit comes any more;
   * what is in flight may still be completed. PROTO_FAILED says that the peer
   * has confirmed the end, or that there is none to wait for; a second later
   * nobody waits.
   */
  void (*leave) (struct proto *p, uint64_t now_ns);

  /* Optional, both or none: where the user wants TLS, what is said in clear
   * text in front of it (RFC 9289 §4.1), right after open; the engine itself
   * sees no byte that did not come through TLS. hello: what to send, on each
   * lane, at most PROTO_HELLO_BYTES; 0: what this session carries needs no TLS.
   * welcome: the answer as far as it is there; ERR_AGAIN: *ret_more (at least
   * one) bytes of it are missing, and none beyond them may be read; ERR_OK: TLS
   * begins; else f says why it cannot, and nothing else may be sent.
   */
  size_t (*hello) (struct proto *p, uint8_t dst[PROTO_HELLO_BYTES]);
  enum err (*welcome) (const struct proto *p, const uint8_t *bytes,
                       size_t length_bytes, size_t *ret_more, struct fault *f);

  /* When tick wants to be called; PROTO_NO_DEADLINE: not. */
  uint64_t (*deadline_ns) (const struct proto *p);
  enum err (*tick) (struct proto *p, uint64_t now_ns);
};

/* The engine for a URL scheme, or NULL. */
const struct proto_ops *proto_find (const char *name);

#endif
