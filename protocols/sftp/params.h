/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_PROTOCOLS_SFTP_PARAMS_H
#define BH_PROTOCOLS_SFTP_PARAMS_H

#include "common/param.h"

extern const struct param sftp_params[];

#endif
