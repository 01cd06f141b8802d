/// An IP address and port. IPv4 is held as the IPv4-mapped IPv6 address, so that equality needs no family.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address in network byte order, most significant half first.
  public var high: UInt64
  public var low: UInt64
  public var port: UInt16

  public init(high: UInt64, low: UInt64, port: UInt16) {
    self.high = high
    self.low = low
    self.port = port
  }

  /// IPv4 from its four bytes, most significant first.
  public init(ipv4: UInt32, port: UInt16) {
    self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4), port: port)
  }

  public static func loopback(port: UInt16) -> SocketAddress { SocketAddress(ipv4: 0x7F00_0001, port: port) }

  public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
  public var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

  public var isLoopback: Bool { isIPv4 ? ipv4 >> 24 == 127 : high == 0 && low == 1 }
  public var isUnspecified: Bool { isIPv4 ? ipv4 == 0 : high == 0 && low == 0 }

  /// Reads `192.0.2.1:80`, `[2001:db8::1]:80`, or a bare address with `defaultPort`.
  public init?(_ text: some StringProtocol, defaultPort: UInt16? = nil) {
    var host = Substring(text)
    var port = defaultPort
    let isBracketed = host.hasPrefix("[")
    if isBracketed {
      guard let close = host.firstIndex(of: "]") else { return nil }
      let rest = host[host.index(after: close)...]
      if rest.hasPrefix(":") {
        guard let number = Self.port(rest.dropFirst()) else { return nil }
        port = number
      } else if !rest.isEmpty {
        return nil
      }
      host = host[host.index(after: host.startIndex)..<close]
    } else if let colon = host.firstIndex(of: ":"), host.lastIndex(of: ":") == colon {
      guard let number = Self.port(host[host.index(after: colon)...]) else { return nil }
      port = number
      host = host[..<colon]
    }
    guard let port else { return nil }
    if !isBracketed, let v4 = Self.parseIPv4(host) {
      self.init(ipv4: v4, port: port)
    } else if let (high, low) = Self.parseIPv6(host) {
      self.init(high: high, low: low, port: port)
    } else {
      return nil
    }
  }

  public var host: String {
    if isIPv4 { return "\(ipv4 >> 24).\(ipv4 >> 16 & 255).\(ipv4 >> 8 & 255).\(ipv4 & 255)" }
    let groups = (0..<8).map { i in UInt16(truncatingIfNeeded: (i < 4 ? high : low) >> (48 - 16 * UInt64(i % 4))) }
    return Self.compress(groups)
  }

  public var description: String { isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

  // MARK: - Parsing

  private static func port(_ digits: Substring) -> UInt16? {
    guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    return UInt16(digits)
  }

  private static func parseIPv4(_ host: Substring) -> UInt32? {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let byte = UInt8(part), part.utf8.count == 1 || part.utf8.first != 0x30
      else { return nil }
      value = value << 8 | UInt32(byte)
    }
    return value
  }

  private static func parseIPv6(_ host: Substring) -> (UInt64, UInt64)? {
    guard host.contains(":"), host.utf8.count <= 45 else { return nil }
    func groups(_ text: Substring, endsAddress: Bool) -> [UInt16]? {
      if text.isEmpty { return [] }
      var out: [UInt16] = []
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      for (i, part) in parts.enumerated() {
        if endsAddress, i == parts.count - 1, part.contains("."), let v4 = parseIPv4(part) {
          out += [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]
        } else {
          // The sign that `UInt16` would accept is no hexadecimal digit.
          guard (1...4).contains(part.utf8.count), part.first != "+", part.first != "-",
            let group = UInt16(part, radix: 16)
          else { return nil }
          out.append(group)
        }
      }
      return out
    }
    var all: [UInt16]
    let text = String(host)
    if let gap = text.firstRange(of: "::") {
      guard let front = groups(text[..<gap.lowerBound], endsAddress: false),
        let back = groups(text[gap.upperBound...], endsAddress: true),
        front.count + back.count < 8
      else { return nil }
      all = front + [UInt16](repeating: 0, count: 8 - front.count - back.count) + back
    } else {
      guard let plain = groups(Substring(text), endsAddress: true), plain.count == 8 else { return nil }
      all = plain
    }
    let high = all[0..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    let low = all[4..<8].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    return (high, low)
  }

  /// RFC 5952: the longest run of two or more zero groups becomes `::`.
  private static func compress(_ groups: [UInt16]) -> String {
    var best = 0..<0
    var start: Int?
    for i in 0...groups.count {
      if i < groups.count, groups[i] == 0 {
        start = start ?? i
      } else if let s = start {
        if i - s > max(best.count, 1) { best = s..<i }
        start = nil
      }
    }
    let hex = groups.map { String($0, radix: 16) }
    if best.isEmpty { return hex.joined(separator: ":") }
    return hex[..<best.lowerBound].joined(separator: ":") + "::" + hex[best.upperBound...].joined(separator: ":")
  }
}
