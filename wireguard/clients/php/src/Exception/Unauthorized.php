<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** The token is missing, wrong, expired, or has no scope for devices (401, 403). */
final class Unauthorized extends HubException {
}
