/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's socket: who may connect, and the list of clients.
 */
#ifndef BH_CACHE_SERVER_H
#define BH_CACHE_SERVER_H

#include <stdbool.h>

#include "cache/daemon.h"
#include "ipc/runtime.h"

/* One volume each, with one worker or more. */
#define SERVER_CLIENTS 64
/* Of the daemon of a whole host; so many of them are root's. */
#define SERVER_HOST_CLIENTS 256
#define SERVER_ROOT_CLIENTS 32

struct server;

/* Binds and listens in dir; the caller holds RUNTIME_PID. idle_s: after so
 * many seconds without a client idle is called; 0: never. Errors go into f.
 */
enum err
server_open (struct daemon *d, const char *dir, double idle_s,
             void (*idle) (void *ctx), void *ctx, struct server **ret,
             struct fault *f);
/* Unlinks the socket; ends all clients and their workers. */
void
server_close (struct server *s);
/* For the end of the process: unlinks the socket, tells the clients, and leaves
 * the rest to exit, so that workers live on with their gateways.
 */
void
server_abandon (struct server *s);

/* The last look before an idle daemon ends: unlinks the socket, then accepts
 * what had still connected. False (and the socket is back) if there is a
 * client after all.
 */
bool
server_retire (struct server *s);

/* For clients. */
struct client;
/* A number that no client had before; greater than all of them. */
uint64_t
server_next_id (struct server *s);
/* The client with the smallest id that is greater; NULL: there is none. */
struct client *
server_client_after (const struct server *s, uint64_t id);
void
server_remove (struct server *s, struct client *c);

#endif
