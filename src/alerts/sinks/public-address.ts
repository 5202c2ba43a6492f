import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Whether an address is one of the public internet: not loopback, private, link-local, shared, or a disguise of one. */
export const isPublic = (address: string): boolean =>
  ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast';

/** An address that must not be called: an alert's URL could be made to reach into the private network. */
export class PrivateAddress extends Error {
  constructor(host: string) {
    super(`${host} is not a public address; set allowPrivateAddresses for this sink if that is meant`);
    this.name = 'PrivateAddress';
  }
}

/** Name resolution that refuses private addresses, used for the connection itself: no second look-up can differ. */
export const publicLookup: LookupFunction = (host, options, callback) => {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '');
    const forbidden = addresses.find(({ address }) => !isPublic(address));
    if (forbidden !== undefined) return callback(new PrivateAddress(host), '');
    if (options.all === true) return callback(null, addresses);
    const [first] = addresses;
    return first === undefined
      ? callback(new PrivateAddress(host), '')
      : callback(null, first.address, first.family);
  });
};
