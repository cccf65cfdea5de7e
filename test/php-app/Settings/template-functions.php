<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// What Nextcloud's lib/private/legacy/template/functions.php gives to templates.

function p($string): void {
	echo htmlspecialchars((string)$string, ENT_QUOTES, 'UTF-8');
}

function style(string $app, string $file): void {
}
