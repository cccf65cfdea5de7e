<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use OCA\RemoteKeyStorage\Wire\Encoding;
use PHPUnit\Framework\TestCase;

final class EncodingTest extends TestCase {
	/** RFC 4648, section 10 */
	public function testBase32Vectors(): void {
		$vectors = ['MY======' => 'f', 'MZXQ====' => 'fo', 'MZXW6===' => 'foo', 'MZXW6YQ=' => 'foob', 'MZXW6YTB' => 'fooba'];
		foreach ($vectors + ['MZXW6YTBOI======' => 'foobar', 'MZXW6YTBOI' => 'foobar'] as $text => $bytes) {
			$this->assertSame($bytes, Encoding::fromBase32($text), $text);
		}
	}

	public function testBase32RefusesOtherForms(): void {
		foreach (['', '=', 'mzxw6ytb', 'MZXW6YT1', 'MZXW6YTBOJ', 'MZXW6YTBO', 'MZ XW6YTB', 'MZXW6YTB=', "MZXW6YTB\n"] as $text) {
			$this->assertNull(Encoding::fromBase32($text), $text);
		}
	}

	public function testBase64RefusesOtherForms(): void {
		$this->assertSame('hello', Encoding::fromBase64('aGVsbG8='));
		foreach (['aGVsbG8', 'aGVsbG9=', "aGVsbG8=\n", 'aGVs bG8=', 'aGVsbG8=='] as $text) {
			$this->assertNull(Encoding::fromBase64($text), $text);
		}
	}
}
