import { expect, test } from 'vitest';
import { clusterStatus } from '../../wireguard/spokes/cluster-status.ts';

test.each([
  [{}, 'empty'],
  [{ active: 1 }, 'all-active'],
  [{ active: 32 }, 'all-active'],
  [{ active: 2, inactive: 1 }, 'degraded'],
  [{ active: 2, pending: 1 }, 'degraded'],
  [{ active: 2, disabled: 1 }, 'degraded'],
  [{ active: 1, inactive: 1 }, 'degraded'], // half is not most
  [{ active: 2, inactive: 1, pending: 1 }, 'degraded'],
  [{ active: 1, inactive: 2 }, 'critical'],
  [{ active: 1, inactive: 1, pending: 1 }, 'critical'],
  [{ active: 1, inactive: 1, disabled: 1 }, 'critical'],
  [{ inactive: 1 }, 'critical'],
  [{ pending: 1 }, 'critical'], // registered, and never heard
  [{ disabled: 3 }, 'critical'],
])('a cluster of %j is %s', (nodes, status) => {
  expect(clusterStatus({ pending: 0, active: 0, inactive: 0, disabled: 0, ...nodes })).toBe(status);
});
