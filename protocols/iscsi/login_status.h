/* SPDX-License-Identifier: BSD-2-Clause */
/* The status classes of a Login Response in words. */
#ifndef BH_PROTOCOLS_ISCSI_LOGIN_STATUS_H
#define BH_PROTOCOLS_ISCSI_LOGIN_STATUS_H

#include <stdint.h>

#include "common/err.h"

/* Of any class but 0 (success) and 1 (redirection): never ERR_OK. */
enum err login_status (uint8_t class, uint8_t detail, struct fault *f);

#endif
