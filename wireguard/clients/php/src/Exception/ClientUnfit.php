<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** The program that was named does not understand the hub's obfuscation (409). Nothing was made. */
final class ClientUnfit extends HubException {
}
