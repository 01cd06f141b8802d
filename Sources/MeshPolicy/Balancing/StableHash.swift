package import MeshCore

/// A hash that is the same in every process, of every version: all proxies send a key to the same endpoint, also after a restart.
///
/// FNV-1a with a finalizer that spreads its high bits. It is no secret: a client can choose keys that meet on one endpoint, as it
/// can send all of its requests with one key.
package struct StableHash: Sendable {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  package init() {}

  package mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x0100_0000_01B3 }

  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    for i in 0..<bytes.count { add(bytes[i]) }
  }

  package mutating func add(_ number: UInt64) {
    for shift in 0..<8 { add(UInt8(truncatingIfNeeded: number >> UInt64(shift * 8))) }
  }

  package mutating func add(_ address: SocketAddress, withPort: Bool) {
    add(address.high)
    add(address.low)
    if withPort { add(UInt64(address.port)) }
  }

  package var value: UInt64 { Self.mix(state) }

  /// The finalizer of MurmurHash3: every bit of the input moves half of the output's.
  static func mix(_ value: UInt64) -> UInt64 {
    var h = value
    h = (h ^ (h >> 33)) &* 0xFF51_AFD7_ED55_8CCD
    h = (h ^ (h >> 33)) &* 0xC4CE_B9FE_1A85_EC53
    return h ^ (h >> 33)
  }
}
