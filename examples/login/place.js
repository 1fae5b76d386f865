'use strict'

const { BlockList, isIPv4 } = require('node:net')

const LOCAL = new BlockList()
for (const [network, bits, family] of [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6']
]) {
  LOCAL.addSubnet(network, bits, family)
}

/**
 * Where a request came from, as far as an address tells without a database of places: this machine, the local network,
 * or the network's part of the address. The rest of it is not kept.
 */
function placeOf(ip = '') {
  const address = ip.replace(/^::ffff:/, '')
  if (isIPv4(address)) {
    if (address.startsWith('127.')) return 'This machine'
    if (LOCAL.check(address)) return 'Local network'
    return `Internet, ${address.replace(/\d+\.\d+$/, 'x.x')}`
  }
  if (address === '::1') return 'This machine'
  if (address === '') return 'Unknown network'
  if (LOCAL.check(address, 'ipv6')) return 'Local network'
  return `Internet, ${address.split(':').slice(0, 2).join(':')}:...`
}

module.exports = { placeOf }
