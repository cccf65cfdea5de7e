<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:restore --stage=…`: brings the private keys back to this disk. */
final class Restore extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:restore')
			->setDescription('bring the private keys back to this disk: write, then finish; each may be repeated')
			->addOption('stage', null, InputOption::VALUE_REQUIRED, 'write (reads {} or {"keys": {id: base64}}) or finish');
	}

	protected function work(InputInterface $input): array {
		switch ($input->getOption('stage')) {
			case 'write':
				$given = $this->stdin(['keys']);
				return $this->workshop->restore()->write(array_key_exists('keys', $given) ? Stdin::blobs($given['keys']) : null);
			case 'finish':
				return $this->workshop->restore()->finish();
		}
		throw new Failure('invalid_request', '"--stage" must be one of write, finish');
	}

	protected function lines(array $result): array {
		if (isset($result['restored'])) {
			$keys = $result['restored'] === [] ? 'the keys on this disk are in use' : implode(', ', $result['restored']);
			return ['restored     ' . $keys . ', ' . $result['files'] . ' files decrypted'];
		}
		$lines = [];
		foreach (['written' => 'written      ', 'present' => 'was here     ', 'missing' => 'missing      '] as $field => $label) {
			foreach ($result[$field] as $id) {
				$lines[] = $label . $id;
			}
		}
		return $lines === [] ? ['no private key has moved'] : $lines;
	}
}
