package import MeshCore

/// Addresses that share a number of leading bits. IPv4 is held as IPv4-mapped IPv6, as in `SocketAddress`.
package struct AddressBlock: Hashable, Sendable, CustomStringConvertible {
  private var base: SocketAddress
  /// Of 128.
  private var bits: UInt8

  /// Reads `192.0.2.0/24`, `2001:db8::/32` or one address. Bits past the length must be zero: who writes 10.1.2.3/8 means something else.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let host = parts.first, !host.contains("["), let address = SocketAddress(host, defaultPort: 0),
      address.port == 0, address.host.contains(":") == host.contains(":") || address.isIPv4
    else { return nil }
    // `1.2.3.4:80` is an address and port, none of a block.
    guard !(address.isIPv4 && host.contains(".") && host.contains(":") && !host.hasPrefix(":")) else { return nil }
    let writtenAsIPv4 = !host.contains(":")
    let most = writtenAsIPv4 ? 32 : 128
    var length = most
    if parts.count == 2 {
      guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let number = Int(parts[1]), number <= most
      else { return nil }
      length = number
    }
    base = address
    bits = UInt8(length + 128 - most)
    guard base.high & ~highMask == 0, base.low & ~lowMask == 0 else { return nil }
  }

  package func contains(_ address: SocketAddress) -> Bool {
    address.high & highMask == base.high && address.low & lowMask == base.low
  }

  private var highMask: UInt64 { Self.mask(Int(bits)) }
  private var lowMask: UInt64 { Self.mask(Int(bits) - 64) }

  private static func mask(_ bits: Int) -> UInt64 {
    bits <= 0 ? 0 : bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits))
  }

  package var description: String {
    let isIPv4 = base.isIPv4 && bits >= 96
    return "\(base.host)/\(isIPv4 ? bits - 96 : bits)"
  }
}
