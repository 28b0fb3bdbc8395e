/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateway processes that a test starts, kills and starts again; and the daemon
 * and the workers behind them, to be killed as well. One thread.
 *
 * Who gets killed: our own children; the process that listens in
 * $BULKHEAD_RUNTIME_DIR; and processes that were seen as that one's children
 * and are named as workers are. Nobody else, wherever this runs.
 */
#ifndef BH_TESTS_GATEWAYS_H
#define BH_TESTS_GATEWAYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <libnbd.h>

#define GATEWAYS_MAX 8
#define CONNECTIONS_MAX 4
#define WORKERS_MAX 256

/*   state     means                              leaves by
 *   STARTING  nobody listens yet                 gateway_try → UP
 *   UP        connected                          gateway_kill → STARTING
 */
enum gateway_state { GATEWAY_STARTING, GATEWAY_UP };

struct gateway {
  enum gateway_state state;
  bool killed; /* commands that fail now do so because of us */
  pid_t pid;
  unsigned connections;
  struct nbd_handle *nbd[CONNECTIONS_MAX];
  unsigned in_flight;
  uint64_t started_ms;
  char socket[96]; /* of a Unix socket: short */
  char log[104];
  char *const *command; /* @SOCKET@ stands for the socket */
};

void __attribute__ ((noreturn, format (printf, 1, 2)))
die (const char *fmt, ...);

/* Starts a process: its words go to the end of the log. */
void gateway_start (struct gateway *g);
/* STARTING: connects if it listens. */
void gateway_try (struct gateway *g);
/* SIGKILL; all its commands end with an error before this returns. Then starts
 * it again.
 */
void gateway_kill (struct gateway *g);
/* SIGTERM, and waits. */
void gateway_stop (struct gateway *g);
/* Sums up what -D bulkhead.stats=1 printed: pages from the cache, and not. */
void gateway_stats (const struct gateway *g, uint64_t *hits,
                    uint64_t *misses);

/* SIGKILL to the daemon, to any of its workers; false if there is none. */
bool daemon_kill (void);
bool worker_kill (uint64_t random);

#endif
