// A call by a client that is generated from doc/gateway/openapi.yaml, with the
// address of the gateway as its argument. Prints who blocked the contact, or
// what was wrong.
import createClient from 'openapi-fetch';
import type { paths } from './api';

declare const process: { argv: string[] };

const client = createClient<paths>({
  baseUrl: process.argv[2] + '/public/v1/notifications',
  headers: { Authorization: 'Bearer TOKEN' }
});
const { data, error } = await client.POST('/contacts/{id}/block', {
  params: { path: { id: 'a/b é' } },
  body: { reason: 'Asked for it' }
});
console.log(data ? `${data.status} by ${data.audit?.blocked?.by?.id}` : `${error.status}: ${error.detail}`);
