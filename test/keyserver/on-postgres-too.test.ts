import { onPostgres } from './on-postgres.ts';

const more = ['mutual-tls', 'held-request', 'own-watch', 'admin-login', 'admin-pages', 'admin-timeline'];

// what is kept besides; the pages and the rest of the certificates only where there is time
onPostgres('approvals', 'alerts', 'certificate-renewal', ...(process.env.LATCHKEY_THOROUGH === undefined ? [] : more));
