import MeshCore

/// What an authority means.
enum AuthorityTarget {
  case service(ServiceEntry)
  case address(OutsideHost)
  /// A host that the mesh does not know, or an ExternalService whose callers are not all let through.
  case outside(OutsideHost)
  /// A listener of this proxy: a request sent there would come back for ever.
  case itself
  case unknown
}

typealias AuthorityTable = SpellingTable<AuthorityTarget>

/// What a spelling of an authority means, remembered so that a steady request makes no `String`.
///
/// An open-addressed table from the bytes that clients sent to the meaning found for them.
/// Confined to one worker loop. Limit: `maximumCount` spellings; past it the table starts anew, so a hostile client
/// costs parsing but no memory.
struct SpellingTable<Meaning> {
  private struct Slot {
    var hash: UInt64
    var bytes: [UInt8]
    var target: Meaning
  }

  private var slots: [Slot?]
  private(set) var count = 0
  private let maximumCount: Int

  init(maximumCount: Int) {
    self.maximumCount = maximumCount
    var size = 64
    while size < maximumCount * 2 { size *= 2 }
    slots = Array(repeating: nil, count: size)
  }

  func find(_ authority: UnsafeRawBufferPointer, variant: UInt16) -> Meaning? {
    let hash = Self.hash(authority, variant)
    var i = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while let slot = slots[i] {
      if slot.hash == hash, slot.bytes.withUnsafeBytes({ $0.equals(authority) }) { return slot.target }
      i = (i &+ 1) & (slots.count - 1)
    }
    return nil
  }

  mutating func insert(_ authority: UnsafeRawBufferPointer, variant: UInt16, _ target: Meaning) {
    if count >= maximumCount { removeAll() }
    let hash = Self.hash(authority, variant)
    var i = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while let slot = slots[i] {
      // It has another meaning now.
      if slot.hash == hash, slot.bytes.withUnsafeBytes({ $0.equals(authority) }) {
        slots[i]?.target = target
        return
      }
      i = (i &+ 1) & (slots.count - 1)
    }
    slots[i] = Slot(hash: hash, bytes: Array(authority), target: target)
    count += 1
  }

  mutating func removeAll() {
    slots = Array(repeating: nil, count: slots.count)
    count = 0
  }

  /// FNV-1a, with `variant` (the default port) mixed in.
  private static func hash(_ bytes: UnsafeRawBufferPointer, _ variant: UInt16) -> UInt64 {
    var h: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(variant)
    for byte in bytes { h = (h ^ UInt64(byte)) &* 0x0100_0000_01B3 }
    return h ^ (h >> 29)
  }
}
