/// Decodes the field blocks of one direction of a connection, field by field (RFC 7541).
///
/// The caller calls `begin` with a whole block and `next` until it says `.end`; it must go on to the end even when it
/// has no use for the fields any more, because the table has to stay in step with the peer's.
/// Nothing is allocated in a steady state. Confined to one connection. A failure is a COMPRESSION_ERROR for good.
package struct HPACKDecoder {
  package enum Step {
    case field(HPACKField)
    case end
    case failure(StaticString)
  }

  private let table: HPACKDynamicTable
  private let statics = HPACKStaticTable.shared
  private let huffman = HuffmanDecoder.shared
  private var scratch = HPACKScratch()
  private var block = UnsafeRawBufferPointer(start: nil, count: 0)
  private var position = 0
  /// Size updates are allowed only before the first field of a block (RFC 7541, section 4.2).
  private var isAtStart = true
  /// The largest table the peer may choose.
  private var allowedTableSize: Int
  /// Our limit fell below the table's size: the next block must begin with a size update.
  private var isUpdateOwed = false
  /// Size updates of this block.
  private var updates = 0
  /// A block needs two at most: the smallest size since the last block, and the final one (RFC 7541, section 4.2).
  private static let maximumUpdates = 2

  /// `tableSize`: our SETTINGS_HEADER_TABLE_SIZE. Until the peer acknowledged it, it may go by the initial 4096.
  package init(tableSize: Int = 4096) {
    table = HPACKDynamicTable(capacity: max(tableSize, 4096), maximumSize: 4096)
    allowedTableSize = 4096
  }

  /// The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE.
  package mutating func acknowledged(tableSize: Int) {
    allowedTableSize = min(tableSize, table.capacity)
    isUpdateOwed = allowedTableSize < table.maximumSize
  }

  package var hasTooManyUpdates: Bool { updates > Self.maximumUpdates }
  package var tableByteCount: Int { table.size }

  /// Starts a block. Its bytes must stay in place until `next` has said `.end`.
  package mutating func begin(_ block: UnsafeRawBufferPointer) {
    self.block = block
    position = 0
    isAtStart = true
    updates = 0
    scratch.ensure(HuffmanDecoder.maximumLength(block.count) + 8)
  }

  package mutating func next() -> Step {
    while position < block.count {
      let first = block[position]
      if first & 0xE0 == 0x20 {
        if let reason = updateSize() { return .failure(reason) }
        continue
      }
      if isUpdateOwed { return .failure("a table size update is owed") }
      isAtStart = false
      if first & 0x80 != 0 { return indexed() }
      return literal(first)
    }
    return .end
  }

  /// After a field: passes over the indexed fields of one byte that follow, for a caller with no use for fields any more. A block
  /// of 16 KiB can name as many of them. What it stops at is `next`'s to judge.
  package mutating func skipIndexed() {
    let end = min(0x80 + HPACKStaticTable.count + table.count, 0xFE)
    while position < block.count, block[position] > 0x80, Int(block[position]) <= end { position &+= 1 }
  }

  private mutating func updateSize() -> StaticString? {
    guard isAtStart else { return "table size update after a field" }
    updates &+= 1
    guard !hasTooManyUpdates else { return "too many table size updates" }
    guard let size = integer(prefix: 5) else { return "malformed integer" }
    guard size <= allowedTableSize else { return "table size update above the limit" }
    table.resize(size)
    isUpdateOwed = false
    return nil
  }

  private mutating func indexed() -> Step {
    guard let index = integer(prefix: 7) else { return .failure("malformed integer") }
    if index > 0, index <= HPACKStaticTable.count { return .field(statics.fields[index]) }
    guard let entry = dynamicEntry(index) else { return .failure("no such index") }
    var field = HPACKField(name: table.name(entry), value: table.value(entry), kind: entry.pointee.kind)
    field.isValueValid = entry.pointee.isValueValid
    return .field(field)
  }

  private func dynamicEntry(_ index: Int) -> UnsafeMutablePointer<HPACKDynamicTable.Entry>? {
    let place = index &- HPACKStaticTable.count
    guard place >= 1, place <= table.count else { return nil }
    return table.entry(table.newest &- place &+ 1)
  }

  private mutating func literal(_ first: UInt8) -> Step {
    let isIndexing = first & 0x40 != 0
    guard let index = integer(prefix: isIndexing ? 6 : 4) else { return .failure("malformed integer") }
    scratch.clear()
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    var field = HPACKField(name: nothing, value: nothing, kind: .malformed)
    if index == 0 {
      guard let name = string() else { return .failure("malformed string") }
      field.name = name
      field.kind = FieldKind(name: name)
    } else if index <= HPACKStaticTable.count {
      field.name = statics.fields[index].name
      field.kind = statics.fields[index].kind
    } else {
      guard let entry = dynamicEntry(index) else { return .failure("no such index") }
      field.name = table.name(entry)
      field.kind = entry.pointee.kind
    }
    guard let value = string() else { return .failure("malformed string") }
    field.value = value
    field.isValueValid = FieldBytes.isValue(value)
    field.isNeverIndexed = !isIndexing && first & 0x10 != 0
    if isIndexing { insert(&field) }
    return .field(field)
  }

  private func insert(_ field: inout HPACKField) {
    let sequence = table.insert(
      name: field.name, value: field.value, kind: field.kind, isValueValid: field.isValueValid)
    guard let sequence else { return }
    // The name may have pointed at an entry that has just been evicted or moved.
    field.name = table.name(table.entry(sequence))
    field.value = table.value(table.entry(sequence))
  }

  /// RFC 7541, section 5.1. Nil when it is cut short or larger than any length or index we would accept.
  private mutating func integer(prefix: UInt8) -> Int? {
    let mask = UInt8(truncatingIfNeeded: (1 << Int(prefix)) - 1)
    let first = block[position] & mask
    position &+= 1
    guard first == mask else { return Int(first) }
    var value = Int(mask)
    var shift = 0
    while position < block.count, shift <= 21 {
      let byte = block[position]
      position &+= 1
      value &+= Int(byte & 0x7F) &<< shift
      if byte & 0x80 == 0 { return value }
      shift &+= 7
    }
    return nil
  }

  /// RFC 7541, section 5.2.
  private mutating func string() -> UnsafeRawBufferPointer? {
    guard position < block.count else { return nil }
    let isHuffman = block[position] & 0x80 != 0
    guard let length = integer(prefix: 7), length <= block.count &- position else { return nil }
    let bytes = UnsafeRawBufferPointer(rebasing: block[position..<(position &+ length)])
    position &+= length
    guard isHuffman else { return bytes }
    let target = scratch.free
    guard let count = huffman.decode(bytes, into: target) else { return nil }
    scratch.use(count)
    return UnsafeRawBufferPointer(start: target, count: count)
  }
}

/// Room for the Huffman strings of one field; as large as the largest block so far could need.
private final class HPACKScratch {
  private var base: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  private var used = 0

  init() {
    capacity = 512
    base = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
  }

  deinit { base.deallocate() }

  var free: UnsafeMutablePointer<UInt8> { base + used }

  func clear() { used = 0 }
  func use(_ count: Int) { used &+= count }

  func ensure(_ size: Int) {
    used = 0
    guard size > capacity else { return }
    base.deallocate()
    capacity = max(size, capacity * 2)
    base = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
  }
}
