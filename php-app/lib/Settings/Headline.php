<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Settings;

/** The state of this host in one word and one sentence. */
final class Headline {
	/**
	 * @param array<string, mixed> $report
	 * @return array{level: string, title: string, text: string} level: good | warn | bad
	 */
	public static function of(array $report): array {
		$blocking = array_filter($report['problems'], static fn (array $problem): bool => $problem['blocking']);
		if ($blocking !== []) {
			return [
				'level' => 'bad',
				'title' => 'Needs attention',
				'text' => self::trouble($report),
			];
		}
		if ($report['keys'] === []) {
			return [
				'level' => 'warn',
				'title' => $report['enrolled'] ? 'Keys still on this disk' : 'Not set up yet',
				'text' => 'Whoever copies this disk can read every file. Nextcloud works as without this app.',
			];
		}
		if ($report['problems'] !== []) {
			return [
				'level' => 'warn',
				'title' => 'Working, with remarks',
				'text' => 'The keys are fetched from the key server. What is said below wants a look.',
			];
		}
		return [
			'level' => 'good',
			'title' => 'Working',
			'text' => 'The keys are fetched from the key server and held in memory only.',
		];
	}

	/** @param array<string, mixed> $report */
	private static function trouble(array $report): string {
		if ($report['keys'] !== []) {
			return 'Encrypted files may answer "503 Encryption not ready". Nothing is lost: the keys are on the key server.';
		}
		return $report['localKeys'] === []
			? 'Encrypted files cannot be opened until this is put right.'
			: 'The keys are still on this disk, and they cannot be moved as things are.';
	}
}
