/* SPDX-License-Identifier: BSD-2-Clause */
/* One gateway's connection: a machine that takes HELLO, OPEN or ADOPT, then
 * ATTACH, DISTRUST and the messages of the write lease, and tells the gateway
 * what becomes of its volume.
 *
 *   NEW ─HELLO─► GREETED ─OPEN─► SERVING ─► FAILED (the fault is sent)
 *     │           │ │    ADOPT      │          │
 *     │           │ STATUS─► WATCHING          │
 *     └───────────┴────────────┴────┴──────────┴─► CLOSED
 *
 * Invariants
 *   C1  A message is legal in the states of the table in client.c; another one
 *       ends the connection.
 *   C2  A volume exists in SERVING only, and in FAILED until the end; not if
 *       the gateway was made to give up the write lease.
 *   C3  A client is freed from its own timer alone, never inside another
 *       callback: hooks may close it.
 */
#ifndef BH_CACHE_CLIENT_H
#define BH_CACHE_CLIENT_H

#include <sys/types.h>

#include "cache/daemon.h"
#include "cache/server.h"

struct status_gateway;

/* Takes sock over, on success. ERR_NOMEM, ERR_LIMIT (logged). */
enum err
client_open (struct daemon *d, struct server *server, int sock, pid_t pid,
             uid_t uid, struct client **ret);
/* At once: for the end of the daemon. Ends the volume and its worker. */
void
client_free (struct client *c);
/* For the end of the process: it hears of that now, whatever its end waits for.
 */
void
client_abandon (struct client *c);

/* For status.h. Given once in the daemon's life. */
uint64_t
client_id (const struct client *c);
/* False: it is no gateway that this uid may see. *ret_fd is borrowed. */
bool
client_status (const struct client *c, uid_t uid, struct status_gateway *ret,
               int *ret_fd);

#endif
