<?php

// SPDX-License-Identifier: AGPL-3.0-or-later

/** @var array $_ */
/** @var \OCP\IL10N $l */

style('remotekeystorage', 'admin');
$report = $_['report'];
$cache = $report['cache'];
$stores = [
	'apcu' => 'shared memory of PHP (APCu)',
	'tmpfs' => 'memory file system',
	'process' => 'each process for itself',
];
$outcomes = [
	'released' => 'released',
	'denied' => 'denied',
	'held' => 'waiting for approval',
	'not_found' => 'not known there',
	'unavailable' => 'not reached',
];
?>
<div class="section remotekeystorage">
	<h2>Remote keys</h2>

	<div class="rks-headline rks-<?php p($_['headline']['level']); ?>" role="status">
		<strong><?php p($_['headline']['title']); ?></strong>
		<span><?php p($_['headline']['text']); ?></span>
	</div>

	<?php if ($report['problems'] !== []) : ?>
		<h3>What to do</h3>
		<ul class="rks-problems">
			<?php foreach ($report['problems'] as $problem) : ?>
				<li class="<?php p($problem['blocking'] ? 'rks-bad' : 'rks-warn'); ?>">
					<span class="rks-message"><?php p(ucfirst($problem['message'])); ?>.</span>
					<?php if ($problem['hint'] !== '') : ?>
						<span class="rks-hint"><?php
						foreach (explode('`', ucfirst($problem['hint'])) as $i => $piece) {
							if ($i % 2 === 1) {
								?><code><?php p($piece); ?></code><?php
							} else {
								p($piece);
							}
						}
						?>.</span>
					<?php endif; ?>
				</li>
			<?php endforeach; ?>
		</ul>
	<?php endif; ?>

	<h3>This server</h3>
	<table class="rks-facts">
		<tbody>
			<tr>
				<th scope="row">Key server</th>
				<td><?php p($report['enrolled'] ? implode(', ', $report['urls']) : 'none'); ?></td>
			</tr>
			<?php if ($report['enrolled']) : ?>
				<tr>
					<th scope="row">Enrolled as</th>
					<td><code><?php p($report['clientId']); ?></code></td>
				</tr>
			<?php endif; ?>
			<tr>
				<th scope="row">Private keys</th>
				<td>
					<?php if ($report['keys'] === []) : ?>
						<?php p($report['localKeys'] === [] ? 'not found' : 'on this disk'); ?>

					<?php else : ?>
						on the key server:
						<?php foreach ($report['keys'] as $key) : ?>
							<code><?php p($key); ?></code>
						<?php endforeach; ?>
					<?php endif; ?>
				</td>
			</tr>
			<tr>
				<th scope="row">Hook</th>
				<td>
					<?php p($report['hook'] === 'off' ? 'off' : 'on (' . $report['hook'] . ')'); ?>,
					version <?php p($report['version']); ?>
				</td>
			</tr>
			<tr>
				<th scope="row">Sessions</th>
				<td><?php p($report['sessionsKeyFree'] ? 'free of the key' : 'may hold the key'); ?></td>
			</tr>
			<?php if ($report['enrolled']) : ?>
				<tr>
					<th scope="row">Memory</th>
					<td>
						<?php p($stores[$cache['store']] ?? $cache['store']); ?>,
						<?php p($cache['age'] === null ? 'empty' : 'filled ' . $cache['age'] . ' seconds ago'); ?>
					</td>
				</tr>
				<tr>
					<th scope="row">Last heartbeat</th>
					<td>
						<?php p($_['heartbeat'] === '' ? 'none was answered yet' : 'answered ' . $_['heartbeat']); ?><?php
						if (!in_array($report['heartbeat']['code'], [null, 'ok'], true)) :
							?>, then <code><?php p($report['heartbeat']['code']); ?></code><?php
						endif;
						?>

					</td>
				</tr>
				<tr>
					<th scope="row">Circuit breaker</th>
					<td>
						<?php if ($report['breaker']['open']) : ?>
							open after <?php p((string)$report['breaker']['failures']); ?> failures
							(<?php p((string)$report['breaker']['code']); ?>)<?php
							p($_['until'] === '' ? '' : ', next try ' . $_['until']);
							?>

						<?php else : ?>
							closed
						<?php endif; ?>
					</td>
				</tr>
			<?php endif; ?>
		</tbody>
	</table>

	<?php if ($report['enrolled']) : ?>
		<h3>Last answers of the key server</h3>
		<?php if ($_['releases'] === []) : ?>
			<p class="settings-hint">None yet.</p>
		<?php else : ?>
			<table class="rks-releases">
				<thead>
					<tr>
						<th scope="col">Time</th>
						<th scope="col">Asked for</th>
						<th scope="col">Answer</th>
						<th scope="col">Took</th>
					</tr>
				</thead>
				<tbody>
					<?php foreach ($_['releases'] as $release) : ?>
						<tr class="<?php p($release['outcome'] === 'released' ? 'rks-good' : 'rks-bad'); ?>">
							<td><?php p($release['when']); ?></td>
							<td><?php p($release['reason']); ?></td>
							<td>
								<?php p($outcomes[$release['outcome']] ?? $release['outcome']); ?>
								<?php if ($release['code'] !== '') : ?>
									<code><?php p(($release['detail'] ?? '') === '' ? $release['code'] : $release['detail']); ?></code>
								<?php endif; ?>
							</td>
							<td><?php p((string)$release['ms']); ?> ms</td>
						</tr>
					<?php endforeach; ?>
				</tbody>
			</table>
		<?php endif; ?>
	<?php endif; ?>
</div>
