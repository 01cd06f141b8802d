import MeshCore

/// The dynamic table of one direction (RFC 7541, section 2.3.2): a ring of entries over one arena of bytes.
///
/// Entries are known by a sequence number that only grows; the newest is `newest`, the oldest `oldest`.
/// Memory follows what the peer really keeps in the table, since most connections keep far less than they may: both
/// parts begin small at the first insertion and double up to their bounds (one entry per 32 bytes of capacity, and an
/// arena of twice the largest table, so that bytes are moved to its start only once per table turnover).
/// Confined to one connection.
final class HPACKDynamicTable {
  struct Entry {
    /// The entry before this one in the same bucket of the encoder's indexes.
    var nextWithName: Int
    var nextWithPair: Int
    var offset: UInt32
    var nameLength: UInt32
    var valueLength: UInt32
    var nameHash: UInt32
    var pairHash: UInt32
    var kind: FieldKind
    var isValueValid: Bool
  }

  static let overhead = 32
  private static let firstSlots = 8
  private static let firstArena = 512

  /// The largest size this table may ever get.
  let capacity: Int
  private(set) var maximumSize: Int
  private(set) var size = 0
  private(set) var newest = 0
  private(set) var oldest = 1
  /// Slots of `entries` minus one; -1 before the first insertion.
  private var mask = -1
  private var entries: UnsafeMutablePointer<Entry>?
  private var arena: UnsafeMutableRawPointer?
  private var arenaSize = 0
  private var arenaUsed = 0

  init(capacity: Int, maximumSize: Int) {
    self.capacity = capacity
    self.maximumSize = min(maximumSize, capacity)
  }

  deinit {
    entries?.deallocate()
    arena?.deallocate()
  }

  var count: Int { newest &- oldest &+ 1 }

  func isLive(_ sequence: Int) -> Bool { sequence >= oldest && sequence <= newest }

  /// The entry with a live sequence number.
  @inline(__always) func entry(_ sequence: Int) -> UnsafeMutablePointer<Entry> {
    // A live sequence number has been inserted, and `insert` has made room for it.
    entries.unsafelyUnwrapped + (sequence & mask)
  }

  @inline(__always) func name(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeRawBufferPointer {
    // There is an arena since the first insertion, and an entry has been inserted.
    UnsafeRawBufferPointer(
      start: arena.unsafelyUnwrapped + Int(entry.pointee.offset), count: Int(entry.pointee.nameLength))
  }

  @inline(__always) func value(_ entry: UnsafeMutablePointer<Entry>) -> UnsafeRawBufferPointer {
    // As for `name`.
    UnsafeRawBufferPointer(
      start: arena.unsafelyUnwrapped + Int(entry.pointee.offset) + Int(entry.pointee.nameLength),
      count: Int(entry.pointee.valueLength))
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
    let name = makeRoom(bytes, keeping: name)
    let offset = arenaUsed
    // `makeRoom` leaves an arena behind, even for an empty field.
    let place = arena.unsafelyUnwrapped + offset
    if let source = name.baseAddress { place.copyMemory(from: source, byteCount: name.count) }
    if let source = value.baseAddress { (place + name.count).copyMemory(from: source, byteCount: value.count) }
    arenaUsed &+= bytes
    evict(until: maximumSize &- cost)
    if count > mask { growEntries() }
    newest &+= 1
    size &+= cost
    entry(newest).initialize(
      to: Entry(
        nextWithName: 0, nextWithPair: 0, offset: UInt32(truncatingIfNeeded: offset),
        nameLength: UInt32(truncatingIfNeeded: name.count), valueLength: UInt32(truncatingIfNeeded: value.count),
        nameHash: 0, pairHash: 0, kind: kind, isValueValid: isValueValid))
    return newest
  }

  private func evict(until limit: Int) {
    while size > limit, oldest <= newest {
      let entry = entry(oldest)
      size &-= Int(entry.pointee.nameLength) &+ Int(entry.pointee.valueLength) &+ Self.overhead
      oldest &+= 1
    }
  }

  /// Doubles the ring. Its bound is the capacity's: a field takes at least `overhead` bytes of it.
  private func growEntries() {
    let slots = mask < 0 ? Self.firstSlots : (mask &+ 1) &* 2
    let bigger = UnsafeMutablePointer<Entry>.allocate(capacity: slots)
    var sequence = oldest
    while sequence <= newest {
      (bigger + (sequence & (slots &- 1))).initialize(to: entry(sequence).pointee)
      sequence &+= 1
    }
    entries?.deallocate()
    entries = bigger
    mask = slots &- 1
  }

  /// Makes the arena take `bytes` more after those in use: grows it, or moves the live bytes to its start when it has its
  /// full size. Returns `name` where it is then.
  private func makeRoom(_ bytes: Int, keeping name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    // The first field may be empty, and needs an arena all the same.
    guard arena == nil || arenaUsed &+ bytes > arenaSize else { return name }
    let start = oldest <= newest ? Int(entry(oldest).pointee.offset) : arenaUsed
    let live = arenaUsed &- start
    // Half of the arena stays free after a move, so that moves are rare.
    var wanted = max(arenaSize, min(Self.firstArena, capacity &* 2))
    while wanted < capacity &* 2, wanted < (live &+ bytes) &* 2 { wanted = min(wanted &* 2, capacity &* 2) }
    let (old, previousSize) = (arena, arenaSize)
    let base = wanted > arenaSize ? UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16) : old
    if let old, let base { base.copyMemory(from: old + start, byteCount: live) }
    if base != old { old?.deallocate() }
    arena = base
    arenaSize = wanted
    arenaUsed = live
    var sequence = oldest
    while sequence <= newest {
      entry(sequence).pointee.offset &-= UInt32(truncatingIfNeeded: start)
      sequence &+= 1
    }
    guard let address = name.baseAddress, let old, let base else { return name }
    let isOwn = address >= UnsafeRawPointer(old) && address < UnsafeRawPointer(old) + previousSize
    return isOwn
      ? UnsafeRawBufferPointer(start: base + (address - UnsafeRawPointer(old) - start), count: name.count) : name
  }
}
