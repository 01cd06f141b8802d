import MeshCore

/// The encoder's dynamic table with its indexes by name and by (name, value).
///
/// A bucket holds the low half of its newest entry's sequence number, and entries chain to older ones. Evicted entries
/// need no removal: a chain ends at the first number that is no longer live. Confined to one connection.
final class HPACKEncoderTable {
  private static let bucketCount = 128
  private static let seenCount = 128
  /// Fields with colliding hashes cost at most so many comparisons.
  private static let maximumChain = 8

  private let table: HPACKDynamicTable
  private let byName: UnsafeMutablePointer<UInt32>
  private let byPair: UnsafeMutablePointer<UInt32>
  /// Hashes of fields sent a short while ago but not indexed.
  private let recent: UnsafeMutablePointer<UInt32>

  init(capacity: Int) {
    table = HPACKDynamicTable(capacity: capacity, maximumSize: capacity)
    byName = .allocate(capacity: Self.bucketCount)
    byName.initialize(repeating: 0, count: Self.bucketCount)
    byPair = .allocate(capacity: Self.bucketCount)
    byPair.initialize(repeating: 0, count: Self.bucketCount)
    recent = .allocate(capacity: Self.seenCount)
    recent.initialize(repeating: 0, count: Self.seenCount)
  }

  deinit {
    byName.deallocate()
    byPair.deallocate()
    recent.deallocate()
  }

  var maximumSize: Int { table.maximumSize }
  var size: Int { table.size }

  func resize(_ size: Int) { table.resize(size) }

  /// Whether a field with this hash was sent recently; remembers it.
  func seen(_ hash: UInt32) -> Bool {
    // Pairs of places, the later hash first: two fields that share a pair must not displace each other for ever.
    let slot = (Int(hash) &* 2) & (Self.seenCount - 1)
    if recent[slot] == hash || recent[slot &+ 1] == hash { return true }
    recent[slot &+ 1] = recent[slot]
    recent[slot] = hash
    return false
  }

  /// The place (1 = newest) of the field.
  func index(
    _ kind: FieldKind, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ hash: UInt32
  ) -> Int? {
    var sequence = newest(byPair[Int(hash) & (Self.bucketCount - 1)])
    var steps = 0
    while table.isLive(sequence), steps < Self.maximumChain {
      let entry = table.entry(sequence)
      if entry.pointee.pairHash == hash, hasName(entry, kind, name), HPACKBytes.equal(table.value(entry), value) {
        return table.newest &- sequence &+ 1
      }
      sequence = entry.pointee.nextWithPair
      steps &+= 1
    }
    return nil
  }

  /// The place of the newest field called `name`.
  func nameIndex(_ kind: FieldKind, _ name: UnsafeRawBufferPointer) -> Int? {
    let hash = HPACKHash.name(kind, name)
    var sequence = newest(byName[Int(hash) & (Self.bucketCount - 1)])
    var steps = 0
    while table.isLive(sequence), steps < Self.maximumChain {
      let entry = table.entry(sequence)
      if entry.pointee.nameHash == hash, hasName(entry, kind, name) { return table.newest &- sequence &+ 1 }
      sequence = entry.pointee.nextWithName
      steps &+= 1
    }
    return nil
  }

  func insert(
    _ kind: FieldKind, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
    _ nameHash: UInt32, _ pairHash: UInt32
  ) {
    guard let sequence = table.insert(name: name, value: value, kind: kind, isValueValid: true) else { return }
    let entry = table.entry(sequence)
    entry.pointee.nameHash = nameHash
    entry.pointee.pairHash = pairHash
    let nameBucket = byName + (Int(nameHash) & (Self.bucketCount - 1))
    entry.pointee.nextWithName = newest(nameBucket.pointee)
    nameBucket.pointee = UInt32(truncatingIfNeeded: sequence)
    let pairBucket = byPair + (Int(pairHash) & (Self.bucketCount - 1))
    entry.pointee.nextWithPair = newest(pairBucket.pointee)
    pairBucket.pointee = UInt32(truncatingIfNeeded: sequence)
  }

  /// The sequence number that a bucket stands for: the latest with its low half. After 2^32 insertions a stale bucket may
  /// name another live entry, which then does not compare equal.
  @inline(__always) private func newest(_ bucket: UInt32) -> Int {
    table.newest &- Int(UInt32(truncatingIfNeeded: table.newest) &- bucket)
  }

  private func hasName(
    _ entry: UnsafeMutablePointer<HPACKDynamicTable.Entry>, _ kind: FieldKind, _ name: UnsafeRawBufferPointer
  ) -> Bool {
    guard entry.pointee.kind == kind else { return false }
    return kind.isNameKnown || HPACKBytes.equal(table.name(entry), name)
  }
}

/// Byte comparison eight at a time.
enum HPACKBytes {
  static func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let x = a.baseAddress, let y = b.baseAddress else { return true }
    var at = 0
    let count = a.count
    while at &+ 8 <= count {
      let same =
        x.loadUnaligned(fromByteOffset: at, as: UInt64.self) == y.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      guard same else { return false }
      at &+= 8
    }
    while at < count {
      guard x.load(fromByteOffset: at, as: UInt8.self) == y.load(fromByteOffset: at, as: UInt8.self) else {
        return false
      }
      at &+= 1
    }
    return true
  }
}
