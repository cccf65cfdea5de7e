<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** There is no such device, or no such interface (404). */
final class NotFound extends HubException {
}
