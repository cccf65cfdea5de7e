<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:escrow --stage=…`: moves the private keys to the key server, one stage at a time. */
final class Escrow extends RemoteKeyCommand {
	private const STAGES = ['preflight', 'store', 'prove', 'remove'];

	protected function configure(): void {
		$this->setName('remotekey:escrow')
			->setDescription('move the private keys to the key server: preflight, store, prove, remove; each may be repeated')
			->addOption('stage', null, InputOption::VALUE_REQUIRED, 'preflight, store (reads {"grant"}), prove or remove');
	}

	protected function work(InputInterface $input): array {
		switch ($input->getOption('stage')) {
			case 'preflight':
				return $this->workshop->preflight()->run();
			case 'store':
				return $this->store();
			case 'prove':
				return $this->workshop->escrow()->prove();
			case 'remove':
				return $this->remove();
		}
		throw new Failure('invalid_request', '"--stage" must be one of ' . implode(', ', self::STAGES));
	}

	/** @return array{keys: list<array{id: string, sha256: string, key?: string}>} */
	private function store(): array {
		$given = $this->stdin(['grant', 'withKeys']);
		$withKeys = Stdin::flag($given, 'withKeys');
		$this->workshop->preflight()->assertMovable();
		$keys = [];
		foreach ($this->workshop->escrow()->store(Stdin::text($given, 'grant')) as $id => $blob) {
			$key = ['id' => $id, 'sha256' => hash('sha256', $blob)];
			$keys[] = $withKeys ? $key + ['key' => base64_encode($blob)] : $key;
		}
		return ['keys' => $keys];
	}

	/** @return array{removed: list<string>, copies: list<string>, findings: list<array{path: string, kind: string}>} */
	private function remove(): array {
		$this->workshop->preflight()->assertMovable();
		$removed = $this->workshop->escrow()->remove();
		$findings = $this->workshop->surroundings()->copies();
		return ['removed' => $removed, 'copies' => array_column($findings, 'path'), 'findings' => $findings];
	}

	protected function lines(array $result): array {
		$lines = [];
		if (isset($result['mode'])) {
			$lines[] = 'mode         ' . ($result['mode'] === 'master' ? 'one master key' : 'one key per user');
			foreach ($result['privateKeys'] as $key) {
				$where = array_keys(array_filter(['disk' => $key['local'], 'key server' => $key['remote']]));
				$lines[] = 'private key  ' . $key['id'] . ' on ' . implode(' and ', $where);
			}
			$lines[] = 'test files   ' . count($result['sample']) . ' read well';
			$lines[] = $result['problems'] === [] ? 'problems     none' : 'problems';
			return array_merge($lines, $this->problemLines($result['problems']));
		}
		foreach ($result['keys'] ?? [] as $key) {
			$lines[] = 'stored       ' . $key['id'] . ' sha256:' . $key['sha256'];
		}
		if (isset($result['release'])) {
			$lines[] = 'proved       released, key pair matches, ' . $result['files'] . ' files decrypted';
		}
		if (isset($result['removed'])) {
			$lines[] = 'removed      '
				. ($result['removed'] === [] ? 'nothing, no private key was left here' : implode(', ', $result['removed']));
			foreach ($result['findings'] as $copy) {
				$lines[] = 'left behind  ' . $copy['path'] . ' (' . $copy['kind'] . ')';
			}
		}
		return $lines;
	}
}
