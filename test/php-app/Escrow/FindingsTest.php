<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Findings;
use PHPUnit\Framework\TestCase;

final class FindingsTest extends TestCase {
	private const MASTER = [
		'id' => 'master_1.privateKey', 'bytes' => 3430, 'sha256' => 'aa', 'local' => true, 'remote' => false, 'opens' => true,
	];
	private const HEALTHY = [
		'encryptionEnabled' => true, 'mode' => 'master', 'masterKeyId' => 'master_1', 'migrated' => true, 'enrolled' => true,
		'hook' => 'app', 'privateKeys' => [self::MASTER], 'foreignShareKeys' => 0, 'unreadableSamples' => [],
		'sessionsKeyFree' => true, 'exceptionArgsIgnored' => true, 'apcuOnDisk' => false, 'swapInClear' => [], 'copies' => [], 'integrity' => [], 'unsynced' => false,
	];

	/** @return list<array{array<string, mixed>, string, bool}> what is different, code, blocking */
	public function facts(): array {
		$copy = static fn (string $kind): array => ['copies' => [['path' => '/x', 'kind' => $kind]]];
		return [
			[['encryptionEnabled' => false], 'encryption_off', true],
			[['mode' => 'user'], 'user_key_mode', true],
			[['masterKeyId' => ''], 'master_key_missing', true],
			[['masterKeyId' => 'master_2'], 'master_key_missing', true],
			[['privateKeys' => []], 'master_key_missing', true],
			[['privateKeys' => [['opens' => false] + self::MASTER]], 'master_key_unusable', true],
			[['privateKeys' => [['opens' => null] + self::MASTER]], 'master_key_unusable', true],
			[['privateKeys' => [self::MASTER, ['id' => 'pubShare_1.privateKey', 'bytes' => 0] + self::MASTER]], 'key_unreadable', true],
			[['migrated' => false], 'key_format_old', true],
			[['hook' => 'off'], 'hook_off', true],
			[['enrolled' => false], 'not_enrolled', false],
			[['foreignShareKeys' => 1], 'foreign_share_keys', false],
			[['unreadableSamples' => ['/a/files/b']], 'sample_unreadable', false],
			[['sessionsKeyFree' => false], 'sessions_hold_key', false],
			[['exceptionArgsIgnored' => false], 'exception_args_logged', false],
			[['apcuOnDisk' => true], 'apcu_on_disk', false],
			[['swapInClear' => ['/dev/sda2']], 'swap_on', false],
			[['integrity' => ['core']], 'integrity_problems', false],
			[['unsynced' => true], 'no_fsync', false],
			[$copy('private_key'), 'key_copy', false],
			[$copy('config_backup'), 'config_copy', false],
			[$copy('log'), 'log_holds_key', false],
			[$copy('sessions'), 'sessions_stored', false],
			[$copy('unread'), 'sessions_unread', false],
		];
	}

	public function testProblemsFindsNoneOnAHealthyServer(): void {
		$this->assertSame([], Findings::problems(self::HEALTHY));
	}

	/**
	 * @dataProvider facts
	 * @param array<string, mixed> $different
	 */
	public function testProblemsNamesExactlyWhatIsWrong(array $different, string $code, bool $blocking): void {
		$problems = Findings::problems($different + self::HEALTHY);
		$this->assertSame([$code], array_column($problems, 'code'));
		$this->assertSame($blocking, $problems[0]['blocking']);
		$this->assertNotSame('', $problems[0]['hint']);
	}

	public function testAMovedMasterKeyNeedsNoLocalFile(): void {
		$moved = ['local' => false, 'remote' => true, 'bytes' => 0, 'sha256' => '', 'opens' => null] + self::MASTER;
		$this->assertSame([], Findings::problems(['privateKeys' => [$moved]] + self::HEALTHY));
	}
}
