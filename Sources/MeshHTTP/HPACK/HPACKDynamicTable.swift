import MeshCore

/// The dynamic table of one direction (RFC 7541, section 2.3.2): a ring of entries over one arena of bytes.
///
/// Entries are known by a sequence number that only grows; the newest is `newest`, the oldest `oldest`.
/// The arena is twice the largest table, so that bytes are moved to its start only once per table turnover.
/// Memory is taken at the first insertion and reused from then on. Confined to one connection.
final class HPACKDynamicTable {
  struct Entry {
    var offset: Int
    var nameLength: Int
    var valueLength: Int
    var kind: FieldKind
    var isValueValid: Bool
    var nameHash: UInt32
    var pairHash: UInt32
    /// The entry before this one in the same bucket of the encoder's indexes.
    var nextWithName: Int
    var nextWithPair: Int
  }

  static let overhead = 32

  /// The largest size this table may ever get.
  let capacity: Int
  private(set) var maximumSize: Int
  private(set) var size = 0
  private(set) var newest = 0
  private(set) var oldest = 1
  private let mask: Int
  private var entries: UnsafeMutablePointer<Entry>?
  private var arena: UnsafeMutableRawPointer?
  private var arenaUsed = 0

  init(capacity: Int, maximumSize: Int) {
    self.capacity = capacity
    self.maximumSize = min(maximumSize, capacity)
    var slots = 1
    while slots < capacity / Self.overhead + 1 { slots *= 2 }
    mask = slots - 1
  }

  deinit {
    entries?.deallocate()
    arena?.deallocate()
  }

  var count: Int { newest &- oldest &+ 1 }

  func isLive(_ sequence: Int) -> Bool { sequence >= oldest && sequence <= newest }

  /// The entry with a live sequence number.
  @inline(__always) func entry(_ sequence: Int) -> UnsafeMutablePointer<Entry> {
    entries.unsafelyUnwrapped + (sequence & mask)
  }

  @inline(__always) func name(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: arena.unsafelyUnwrapped + entry.pointee.offset, count: entry.pointee.nameLength)
  }

  @inline(__always) func value(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: arena.unsafelyUnwrapped + entry.pointee.offset + entry.pointee.nameLength,
      count: entry.pointee.valueLength)
  }

  /// Changes the size limit, at most `capacity`, and evicts what no longer fits.
  func resize(_ size: Int) {
    maximumSize = min(size, capacity)
    evict(until: maximumSize)
  }

  /// Adds a field and returns its sequence number; nil when it is larger than the table, which empties it
  /// (RFC 7541, section 4.4). `name` may lie in this table's own arena.
  func insert(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, kind: FieldKind, isValueValid: Bool) -> Int?
  {
    let bytes = name.count &+ value.count
    let cost = bytes &+ Self.overhead
    guard cost <= maximumSize else {
      evict(until: 0)
      return nil
    }
    allocateIfNeeded()
    let name = makeRoom(bytes, keeping: name)
    let offset = arenaUsed
    let place = arena.unsafelyUnwrapped + offset
    if let source = name.baseAddress { place.copyMemory(from: source, byteCount: name.count) }
    if let source = value.baseAddress { (place + name.count).copyMemory(from: source, byteCount: value.count) }
    arenaUsed &+= bytes
    evict(until: maximumSize &- cost)
    newest &+= 1
    size &+= cost
    entry(newest).initialize(
      to: Entry(
        offset: offset, nameLength: name.count, valueLength: value.count, kind: kind, isValueValid: isValueValid,
        nameHash: 0, pairHash: 0, nextWithName: 0, nextWithPair: 0))
    return newest
  }

  private func evict(until limit: Int) {
    while size > limit, oldest <= newest {
      let entry = entry(oldest)
      size &-= entry.pointee.nameLength &+ entry.pointee.valueLength &+ Self.overhead
      oldest &+= 1
    }
  }

  private func allocateIfNeeded() {
    guard arena == nil else { return }
    arena = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 16)
    entries = UnsafeMutablePointer<Entry>.allocate(capacity: mask + 1)
  }

  /// Moves the live bytes to the arena's start when `bytes` more do not fit after them. Returns `name` where it
  /// is then.
  private func makeRoom(_ bytes: Int, keeping name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard arenaUsed &+ bytes > capacity &* 2 else { return name }
    let base = arena.unsafelyUnwrapped
    let start = oldest <= newest ? entry(oldest).pointee.offset : arenaUsed
    base.copyMemory(from: base + start, byteCount: arenaUsed &- start)
    arenaUsed &-= start
    var sequence = oldest
    while sequence <= newest {
      entry(sequence).pointee.offset &-= start
      sequence &+= 1
    }
    guard let address = name.baseAddress else { return name }
    let isOwn = address >= UnsafeRawPointer(base) && address < UnsafeRawPointer(base) + capacity &* 2
    guard isOwn else { return name }
    return UnsafeRawBufferPointer(start: address - start, count: name.count)
  }
}
