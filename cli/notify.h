/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells systemd that a service is ready, sd_notify(3): one datagram to the
 * socket that NOTIFY_SOCKET names.
 */
#ifndef BH_CLI_NOTIFY_H
#define BH_CLI_NOTIFY_H

/* Once: the variable is gone afterwards. Nothing happens without it, or if
 * nobody listens.
 */
void
notify_ready (void);

#endif
