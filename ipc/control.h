/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages between gateway, daemon and worker: SOCK_SEQPACKET, one
 * message a packet: u16 type, then the body (big-endian, see common/wire.h),
 * at most CONTROL_BODY_BYTES; fds by SCM_RIGHTS.
 *
 *   type           from → to            body; fds
 *   HELLO          gateway → daemon     u32 protocol version, string program
 *                  daemon → gateway     the same, as the answer
 *   OPEN           gateway → daemon     volume_spec; its files
 *   CHANNEL        daemon → gateway     u8 path, u32 slots, u32 chunk bytes;
 *                                       CHANNEL_FDS. One for each connection of
 *                                       the volume, in order
 *   CACHE          daemon → gateway     u32 slots, u32 stripes, u32 fill
 *                                       chunks, string why there is no cache
 *                                       ("": there is one); CACHE_FDS
 *                                       (ipc/fill.h). Before the first WORKER,
 *                                       and after ADOPT
 *   WORKER         daemon → gateway     u8 path, u64 epoch, u32 layers, u8 one
 *                                       session for all connections (both to be
 *                                       kept for ADOPT), volume_info; worker
 *                                       control socket, pidfd of the worker,
 *                                       dups of its network sockets (at least
 *                                       one, at most PROTO_LANES_MAX)
 *   GONE           daemon → gateway     u8 path, u64 epoch, u8 died of itself,
 *                                       fault (why it died)
 *   FAULT          daemon → gateway     fault: the volume cannot be opened, or
 *                                       is given up
 *   ATTACH         gateway → daemon     (empty; SCM_CREDENTIALS: the serving
 *                                       process, after nbdkit's fork); no fd,
 *                                       or a read-only one of what it counts
 *                                       (ipc/stats.h). Again after ADOPT, then
 *                                       with volume_info: both for STATUS alone
 *   DISTRUST       gateway → daemon     u8 path, u64 epoch, fault: kill this
 *                                       worker, it broke the rules of the rings
 *   ADOPT          gateway → daemon     in place of OPEN, to a new daemon: u8
 *                                       holds the lease, u8 paths, for each u64
 *                                       epoch (0: had no worker yet) and u8
 *                                       network sockets of its worker (0: none
 *                                       is alive) and what WORKER told of it,
 *                                       u32 layers, for STATUS alone, and u8
 *                                       one session for all connections (1
 *                                       where sockets are more than one);
 *                                       volume_spec. Its files; the
 *                                       stripes file; for each path
 *                                       CHANNEL_FDS (as the gateway has them)
 *                                       and, if its worker is alive, pidfd and
 *                                       network sockets of that
 *   ADOPTED        daemon → gateway     (empty); CACHE has come before
 *   LEASE_WANT     gateway → daemon     (empty): a write waits
 *   LEASE_GRANT    daemon → gateway     (empty): this gateway may write
 *   LEASE_REVOKE   daemon → gateway     (empty): another one waits; answered by
 *   LEASE_RETURN   gateway → daemon     (empty): drained and flushed
 *   AGENT          gateway → daemon     (empty); a new connection to the user's
 *                                       agent, as the last one has ended
 *   STATUS         client → daemon,     what is going on, page by page:
 *                  daemon → client      ipc/status.h
 *   CONFIG         daemon → worker      u64 epoch, u8 path, u8 lanes, u8 lanes
 *                                       that its session may have, volume_spec
 *                                       (worker's part), string types of the
 *                                       host keys that are known (name-list;
 *                                       "": none is), string what the last
 *                                       worker's MOVE handed over, u8 TLS,
 *                                       string the name that the server's
 *                                       certificate must have, string our
 *                                       certificate (PEM; "": none is shown)
 *   SEALED         worker → daemon      u32 layers (SBX_LAYER_… bits)
 *   HOSTKEY        worker → daemon      string key blob (RFC 4253 §6.6)
 *   HOSTKEY_OK     daemon → worker      (empty)
 *   AUTH           worker → daemon      string methods that the server offers
 *                                       (name-list, RFC 4252 §5.1)
 *   AUTH_KEY       daemon → worker      string algorithm, string public key
 * blob AUTH_PASSWORD  daemon → worker      string password AUTH_NONE daemon →
 * worker      fault: nothing left to try SIGN           worker → daemon string
 * data (RFC 4252 §7) SIGNATURE      daemon → worker      string signature: what
 * follows the algorithm's name inside an SSH signature (RFC 4253 §6.6): 64
 * bytes for ssh-ed25519 (RFC 8709 §6); mpint r, mpint s for ecdsa-sha2-… (RFC
 * 5656 §3.1.2); s for RSA (RFC 8332 §3); empty: refused, try something else
 *   CERT_SIGN      worker → daemon      u16 SignatureScheme (RFC 8446 §4.2.3),
 *                                       string what a client's
 *                                       CertificateVerify signs (§4.4.3)
 *   CERT_SIGNATURE daemon → worker      string the signature
 *   WANT           worker → daemon      proto_want (ipc/want.h); a MOVE is its
 *                                       last word
 *   GIVEN          daemon → worker      proto_given, the answer to another WANT
 *   READY          worker → daemon      volume_info
 *   FAIL           worker → daemon      fault; the worker then exits
 *   GO             gateway → worker     u64 epoch: the rings are reset, start
 *
 * "path" is the index of a connection of the volume, each with a channel, a
 * worker and epochs of its own: 0 … connections-1.
 *
 *   PROBE          gateway → worker     (empty): is the object as it was?
 *   PROBED         worker → gateway     u64 change (of volume_info; 0: not
 *                                       known), u64 size; once for each PROBE
 *   NOTE           worker → gateway     string a line for the log: why the
 *                                       server has refused a request; see
 *                                       gateway/notes.h for how often
 *
 * A refusal by the daemon of HOSTKEY, SIGN or CERT_SIGN is no message: it kills
 * the worker and reports the fault to the gateway itself.
 *
 * Thread rule: a socket is used by one thread at a time.
 */
#ifndef BH_IPC_CONTROL_H
#define BH_IPC_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/wire.h"

#define CONTROL_VERSION 4u
#define CONTROL_BODY_BYTES 32768u
#define CONTROL_FDS 152u
/* So many of them are a volume's files; the rest are what ADOPT brings. */
#define CONTROL_FILES 20u

enum control_type {
  CONTROL_HELLO = 1,
  CONTROL_OPEN,
  CONTROL_CHANNEL,
  CONTROL_WORKER,
  CONTROL_GONE,
  CONTROL_FAULT,
  CONTROL_ATTACH,
  CONTROL_DISTRUST,
  CONTROL_CACHE,
  CONTROL_ADOPT,
  CONTROL_ADOPTED,
  CONTROL_LEASE_WANT,
  CONTROL_LEASE_GRANT,
  CONTROL_LEASE_REVOKE,
  CONTROL_LEASE_RETURN,
  CONTROL_STATUS,
  CONTROL_AGENT,
  CONTROL_CONFIG = 32,
  CONTROL_SEALED,
  CONTROL_HOSTKEY,
  CONTROL_HOSTKEY_OK,
  CONTROL_AUTH,
  CONTROL_AUTH_KEY,
  CONTROL_AUTH_PASSWORD,
  CONTROL_AUTH_NONE,
  CONTROL_SIGN,
  CONTROL_SIGNATURE,
  CONTROL_READY,
  CONTROL_FAIL,
  CONTROL_WANT,
  CONTROL_GIVEN,
  CONTROL_CERT_SIGN,
  CONTROL_CERT_SIGNATURE,
  CONTROL_GO = 64,
  CONTROL_PROBE,
  CONTROL_PROBED,
  CONTROL_NOTE,
};

/* A message as received, or being built. About 32 KiB: not on small stacks.
 * fd[] that were received are owned by the message until taken with
 * control_take_fd; control_close closes what is left.
 */
struct control {
  uint16_t type;
  uint32_t length_bytes; /* of body */
  unsigned fds;
  int fd[CONTROL_FDS];
  pid_t sender_pid; /* by SCM_CREDENTIALS, 0 if none came */
  uid_t sender_uid;
  uint8_t head[2]; /* the type, as control_tell and control_hear pass it */
  uint8_t body[CONTROL_BODY_BYTES];
};

/* Building: control_begin, wirebuf_… into control_body, control_send. The fds
 * to send are borrowed. */
void control_begin (struct control *m, enum control_type type);
static inline struct wirebuf
control_body (struct control *m)
{
  return wirebuf_init (m->body, sizeof m->body);
}
enum err control_add_fd (struct control *m, int fd);

/* Sends one message. A full socket is waited for at most timeout_ns. b gives
 * the body's length (and its sticky error). ERR_CLOSED, ERR_TIMEOUT, ERR_LIMIT.
 */
enum err control_send (int sock, struct control *m, const struct wirebuf *b,
                       uint64_t timeout_ns);
/* The same with SCM_CREDENTIALS of the calling process. */
enum err control_send_credentials (int sock, struct control *m,
                                   const struct wirebuf *b,
                                   uint64_t timeout_ns);

/* Receives one message; waits at most timeout_ns (0: does not wait:
 * ERR_AGAIN). ERR_CLOSED at the end of the stream; ERR_PEER for a truncated or
 * too short one (its fds are closed). Received fds are close-on-exec.
 */
enum err control_recv (int sock, struct control *ret_message,
                       uint64_t timeout_ns);
int control_take_fd (struct control *m, unsigned index); /* -1 if none */
void control_close (struct control *m);

/* The same messages for a sealed worker, which neither gives nor takes fds: by
 * send and recv, by which none can pass, so that its policy has no sendmsg and
 * recvmsg for them. b must be control_body (m). ERR_LIMIT if m has fds; those
 * that were sent to who hears are gone, and nobody is told of them.
 */
enum err control_tell (int sock, struct control *m, const struct wirebuf *b,
                       uint64_t timeout_ns);
enum err control_hear (int sock, struct control *ret_message,
                       uint64_t timeout_ns);

/* For messages: the type's name, "?" for none. */
const char *control_type_name (uint16_t type);

#endif
