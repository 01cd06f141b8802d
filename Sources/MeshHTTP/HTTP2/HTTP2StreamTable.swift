/// The stream records of one connection: a slab, an open-addressed map from ids to places in it, and intrusive lists.
///
/// Places are reused, so a steady connection allocates nothing. The owner bounds the number of records
/// (SETTINGS_MAX_CONCURRENT_STREAMS).
final class HTTP2StreamTable {
  typealias Record = UnsafeMutablePointer<HTTP2Stream>

  /// Ends of a doubly linked list of records.
  struct ListEnds {
    var first: Int32 = -1
    var last: Int32 = -1
    var count = 0
  }

  private static let closureCount = 256

  private var slab: Record
  private var capacity: Int
  private var free: Int32 = -1
  private var used = 0
  private var keys: UnsafeMutablePointer<UInt32>
  private var places: UnsafeMutablePointer<Int32>
  private var mask: Int
  private var ends = (ListEnds(), ListEnds(), ListEnds())
  private let closedIDs: UnsafeMutablePointer<UInt32>
  private let closures: UnsafeMutablePointer<UInt8>

  init() {
    // Most connections have few streams at a time; a busy one doubles this in its first turns.
    capacity = 4
    slab = .allocate(capacity: capacity)
    mask = capacity * 4 - 1
    keys = .allocate(capacity: mask + 1)
    keys.initialize(repeating: 0, count: mask + 1)
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
    closedIDs = .allocate(capacity: Self.closureCount)
    closedIDs.initialize(repeating: 0, count: Self.closureCount)
    closures = .allocate(capacity: Self.closureCount)
    closures.initialize(repeating: 0, count: Self.closureCount)
  }

  deinit {
    slab.deinitialize(count: used)
    slab.deallocate()
    keys.deallocate()
    places.deallocate()
    closedIDs.deallocate()
    closures.deallocate()
  }

  var slabCapacity: Int { capacity }

  // MARK: - Look-up

  /// The record of `id`, closed ones included.
  @inline(__always) func find(_ id: UInt32) -> Record? {
    guard id != 0 else { return nil }
    var slot = home(id)
    while keys[slot] != 0 {
      if keys[slot] == id { return slab + Int(places[slot]) }
      slot = (slot &+ 1) & mask
    }
    return nil
  }

  /// Where an id belongs in the map: the top bits of a product with 2^32 over the golden ratio, which spreads numbers that
  /// count up evenly. Side by side they would make one run, and every removal would walk to its end.
  @inline(__always) private func home(_ id: UInt32) -> Int {
    let unused = UInt32(truncatingIfNeeded: mask).leadingZeroBitCount
    return Int(((id &>> 1) &* 0x9E37_79B9) &>> UInt32(truncatingIfNeeded: unused))
  }

  /// Makes a record. Pointers to other records are invalid afterwards.
  func insert(_ stream: HTTP2Stream) -> Record {
    if free < 0, used == capacity { grow() }
    let place: Int32
    if free >= 0 {
      place = free
      free = slab[Int(place)].next
      slab[Int(place)] = stream
    } else {
      place = Int32(used)
      (slab + used).initialize(to: stream)
      used += 1
    }
    index(stream.id, place)
    return slab + Int(place)
  }

  /// Frees a record that is in no list.
  func remove(_ record: Record) {
    unindex(record.pointee.id)
    record.pointee.context = nil
    record.pointee.id = 0
    record.pointee.next = free
    free = Int32(record - slab)
  }

  /// Calls `body` with every record, closed ones included. `body` must not make or free records.
  func forEach(_ body: (Record) -> Void) {
    for place in 0..<used where slab[place].id != 0 { body(slab + place) }
  }

  private func index(_ id: UInt32, _ place: Int32) {
    var slot = home(id)
    while keys[slot] != 0 { slot = (slot &+ 1) & mask }
    keys[slot] = id
    places[slot] = place
  }

  /// Linear probing with backward shift: no tombstones pile up.
  private func unindex(_ id: UInt32) {
    var hole = home(id)
    while keys[hole] != id { hole = (hole &+ 1) & mask }
    var slot = (hole &+ 1) & mask
    while keys[slot] != 0 {
      if (slot &- home(keys[slot])) & mask >= (slot &- hole) & mask {
        keys[hole] = keys[slot]
        places[hole] = places[slot]
        hole = slot
      }
      slot = (slot &+ 1) & mask
    }
    keys[hole] = 0
  }

  private func grow() {
    let bigger = Record.allocate(capacity: capacity * 2)
    bigger.moveInitialize(from: slab, count: used)
    slab.deallocate()
    slab = bigger
    capacity *= 2
    keys.deallocate()
    places.deallocate()
    mask = capacity * 4 - 1
    keys = .allocate(capacity: mask + 1)
    keys.initialize(repeating: 0, count: mask + 1)
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: 0, count: mask + 1)
    for place in 0..<used where slab[place].id != 0 { index(slab[place].id, Int32(place)) }
  }

  // MARK: - Closed streams

  /// Remembers how a stream ended, until one 512 ids later ends. An older id never displaces a newer one.
  func remember(_ id: UInt32, _ closure: HTTP2Closure) {
    let slot = Int(id >> 1) & (Self.closureCount - 1)
    guard id >= closedIDs[slot] else { return }
    closedIDs[slot] = id
    closures[slot] = closure.rawValue
  }

  func closure(of id: UInt32) -> HTTP2Closure {
    let slot = Int(id >> 1) & (Self.closureCount - 1)
    guard closedIDs[slot] == id else { return .unknown }
    return HTTP2Closure(rawValue: closures[slot]) ?? .unknown
  }

  /// Whether `id`, not above `highest` and without a record, is so recent that it would be remembered had it been used.
  func isRemembered(_ id: UInt32, highest: UInt32) -> Bool {
    highest &- id < UInt32(Self.closureCount)
  }

  // MARK: - Lists

  func count(_ list: HTTP2Stream.List) -> Int { self[list].count }

  func append(_ record: Record, to list: HTTP2Stream.List) {
    unlink(record)
    let place = Int32(record - slab)
    record.pointee.list = list
    record.pointee.previous = self[list].last
    record.pointee.next = -1
    if self[list].last >= 0 { slab[Int(self[list].last)].next = place } else { self[list].first = place }
    self[list].last = place
    self[list].count += 1
  }

  func popFirst(_ list: HTTP2Stream.List) -> Record? {
    let place = self[list].first
    guard place >= 0 else { return nil }
    let record = slab + Int(place)
    unlink(record)
    return record
  }

  func unlink(_ record: Record) {
    let list = record.pointee.list
    guard list != .none else { return }
    let (previous, next) = (record.pointee.previous, record.pointee.next)
    if previous >= 0 { slab[Int(previous)].next = next } else { self[list].first = next }
    if next >= 0 { slab[Int(next)].previous = previous } else { self[list].last = previous }
    self[list].count -= 1
    record.pointee.list = .none
  }

  /// Takes a record out of the list of streams that wait to send.
  func unlinkWaiting(_ record: Record) {
    if record.pointee.list == .waiting { unlink(record) }
  }

  private subscript(list: HTTP2Stream.List) -> ListEnds {
    get {
      switch list {
      case .waiting: ends.0
      case .refused: ends.1
      case .retired, .none: ends.2
      }
    }
    set {
      switch list {
      case .waiting: ends.0 = newValue
      case .refused: ends.1 = newValue
      case .retired, .none: ends.2 = newValue
      }
    }
  }
}
