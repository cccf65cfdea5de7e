<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** The hub wants to be asked less often (429); see retryAfter. */
final class TooManyRequests extends HubException {
}
