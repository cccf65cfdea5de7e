<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use OCA\RemoteKeyStorage\Wire\Link;
use PHPUnit\Framework\TestCase;

final class LinkTest extends TestCase {
	private const TEXT = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8';

	/** Bytes 00 to 1f; id and proof worked out with Python's hashlib and hmac. */
	public function testVector(): void {
		$link = Link::parse(self::TEXT);
		$this->assertSame(self::TEXT, $link->text());
		$this->assertSame('7ca73cda3416d80d', $link->id());
		$this->assertSame('e4ce8b8316c72c9b01f84f582e31a5da0e1b2b239c5d053ae7c754b4bb3f31b4', $link->proof(1700000000000, '01234567-89ab-cdef-0123-456789abcdef'));
	}

	/** @return array<string, array{string}> */
	public function wrongTexts(): array {
		return [
			'empty' => [''],
			'short' => [substr(self::TEXT, 1)],
			'long' => [self::TEXT . 'A'],
			'padded' => [self::TEXT . '='],
			'line end' => [self::TEXT . "\n"],
			'space' => [' ' . substr(self::TEXT, 1)],
			'plain base64' => [str_repeat('+', 42) . 'A'],
			'left-over bits' => [substr(self::TEXT, 0, 42) . '9'],
		];
	}

	/** @dataProvider wrongTexts */
	public function testRefusesWhatIsNotTheOneForm(string $text): void {
		$this->assertNull(Link::parse($text));
	}

	public function testDumpsDoNotShowIt(): void {
		$this->assertStringNotContainsString(self::TEXT, print_r(Link::parse(self::TEXT), true));
	}
}
