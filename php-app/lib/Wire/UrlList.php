<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** URLs of key servers as somebody gave them, before they are anything else. */
final class UrlList {
	public const MAX = 8;

	/**
	 * @param mixed $urls
	 * @return list<string>|null null unless they are 1 to 8 different ones, each https://host[:port] (http:// on loopback alone)
	 */
	public static function parse($urls): ?array {
		if (!is_array($urls) || $urls === [] || count($urls) > self::MAX) {
			return null;
		}
		$list = [];
		foreach ($urls as $url) {
			$endpoint = is_string($url) ? Endpoint::parse($url) : null;
			if ($endpoint === null || $endpoint->base() !== $url || in_array($url, $list, true)) {
				return null;
			}
			$list[] = $url;
		}
		return $list;
	}
}
