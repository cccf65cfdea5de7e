<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Machine;

/** A soft sign of the machine: SHA-256 over what the web user can read of it. A copy may fake it. */
class Fingerprint {
	private string $root;

	/** @param string $root where /proc, /sys and /etc are; for tests */
	public function __construct(string $root = '') {
		$this->root = $root;
	}

	/** 64 hex digits, or null when nothing could be read. */
	public static function current(): ?string {
		return (new self())->digest();
	}

	public function digest(): ?string {
		$lines = [];
		foreach ($this->facts() as $name => $value) {
			$lines[] = $name . '=' . $value;
		}
		sort($lines, SORT_STRING);
		return $lines === [] ? null : hash('sha256', implode("\n", $lines) . "\n");
	}

	/** @return array<string, string> */
	public function facts(): array {
		$facts = [
			'dmi.vendor' => $this->line('/sys/class/dmi/id/sys_vendor'),
			'dmi.product' => $this->line('/sys/class/dmi/id/product_name'),
			'machine-id' => $this->line('/etc/machine-id'),
		];
		$cpu = $this->text('/proc/cpuinfo');
		if (preg_match('/^(?:model name|Model|Hardware)\s*:\s*(.+)$/m', $cpu, $match) === 1) {
			$facts['cpu.model'] = trim($match[1]);
		}
		$facts['cpu.count'] = (string)(preg_match_all('/^processor\s*:/m', $cpu) ?: '');
		foreach (@scandir($this->root . '/sys/class/net') ?: [] as $interface) {
			// only what hangs on a bus: bridges, tunnels and container pairs come and go
			if (file_exists($this->root . '/sys/class/net/' . $interface . '/device')) {
				$facts['mac.' . $interface] = $this->line('/sys/class/net/' . $interface . '/address');
			}
		}
		return array_filter($facts, static fn (string $value): bool => $value !== '');
	}

	private function text(string $path): string {
		return (string)@file_get_contents($this->root . $path, false, null, 0, 1048576);
	}

	private function line(string $path): string {
		return trim($this->text($path));
	}
}
