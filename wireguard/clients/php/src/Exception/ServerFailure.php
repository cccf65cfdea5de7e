<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** The hub, or the web server before it, failed (500 and above). What was asked for may have been done. */
final class ServerFailure extends HubException {
}
