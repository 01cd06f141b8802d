import MeshCore

/// Encodes the field blocks of one direction of a connection (RFC 7541).
///
/// Fields that recur become one or two bytes; `HPACKPolicy` decides what enters the dynamic table. The block is written
/// to memory that the caller reserved with `bound(_:)`. Nothing is allocated in a steady state. Confined to one
/// connection.
package struct HPACKEncoder {
  /// We never keep a larger table, whatever the peer allows.
  package static let maximumTableSize = 4096
  /// Most bytes a field line takes besides its name and value: three integers.
  static let fieldOverhead = 18

  private let table: HPACKEncoderTable
  private let statics = HPACKStaticTable.shared
  private let huffman = HuffmanEncoder.shared
  /// The smallest table size set since the last block, which must be announced before the last one.
  private var smallestPendingSize: Int?
  private var pendingSize: Int?

  package init() {
    table = HPACKEncoderTable(capacity: Self.maximumTableSize)
  }

  /// The peer's SETTINGS_HEADER_TABLE_SIZE. Takes effect with the next block.
  package mutating func setPeerTableSize(_ size: Int) {
    let size = min(size, Self.maximumTableSize)
    guard size != pendingSize ?? table.maximumSize else { return }
    smallestPendingSize = min(smallestPendingSize ?? size, size)
    pendingSize = size
  }

  package var tableByteCount: Int { table.size }

  /// Bytes that a block start (size updates) and one field take at most.
  package static let blockOverhead = 12
  package static func bound(name: Int, value: Int) -> Int { name &+ value &+ fieldOverhead }

  /// Begins a block: writes owed size updates (RFC 7541, section 4.2).
  package mutating func begin(_ out: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    guard let size = pendingSize else { return out }
    var out = out
    if let smallest = smallestPendingSize, smallest < size {
      table.resize(smallest)
      out = integer(smallest, prefix: 5, 0x20, out)
    }
    table.resize(size)
    pendingSize = nil
    smallestPendingSize = nil
    return integer(size, prefix: 5, 0x20, out)
  }

  /// Writes one field; `name` is in lower case and `kind` is its kind.
  package mutating func encode(
    _ kind: FieldKind, name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, isNeverIndexed: Bool,
    to out: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    if isNeverIndexed || HPACKPolicy.isNeverIndexed(kind, value) {
      return literal(0x10, prefix: 4, index: nameIndex(kind, name), name, value, out)
    }
    let nameHash = HPACKHash.name(kind, name)
    let pairHash = HPACKHash.pair(nameHash, value)
    if let index = table.index(kind, name, value, pairHash) {
      return integer(index &+ HPACKStaticTable.count, prefix: 7, 0x80, out)
    }
    let index = nameIndex(kind, name)
    if let whole = staticIndex(index, kind, value) { return integer(whole, prefix: 7, 0x80, out) }
    if HPACKPolicy.isIndexed(kind, size: name.count &+ value.count, of: table, pairHash) {
      table.insert(kind, name, value, nameHash, pairHash)
      return literal(0x40, prefix: 6, index: index, name, value, out)
    }
    return literal(0x00, prefix: 4, index: index, name, value, out)
  }

  /// Writes a field of the static table by its index.
  @inline(__always)
  func encodeStatic(_ index: UInt8, to out: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    out.storeBytes(of: 0x80 | index, as: UInt8.self)
    return out + 1
  }

  /// The static field with this value, among those that share the name at `index`.
  private func staticIndex(_ index: Int, _ kind: FieldKind, _ value: UnsafeRawBufferPointer) -> Int? {
    var index = index
    while index > 0, index <= HPACKStaticTable.count, statics.fields[index].kind == kind {
      let known = statics.fields[index].value
      if known.count > 0, HPACKBytes.equal(known, value) { return index }
      index += 1
    }
    return nil
  }

  private func nameIndex(_ kind: FieldKind, _ name: UnsafeRawBufferPointer) -> Int {
    let index = Int(statics.nameIndex[Int(kind.rawValue)])
    if index > 0 { return index }
    guard let place = table.nameIndex(kind, name) else { return 0 }
    return place &+ HPACKStaticTable.count
  }

  private func literal(
    _ form: UInt8, prefix: UInt8, index: Int, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
    _ out: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    var out = integer(index, prefix: prefix, form, out)
    if index == 0 { out = string(name, out) }
    return string(value, out)
  }

  private func string(_ bytes: UnsafeRawBufferPointer, _ out: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    let coded = huffman.length(of: bytes)
    if coded < bytes.count {
      return huffman.encode(bytes, to: integer(coded, prefix: 7, 0x80, out))
    }
    let out = integer(bytes.count, prefix: 7, 0, out)
    if let source = bytes.baseAddress { out.copyMemory(from: source, byteCount: bytes.count) }
    return out + bytes.count
  }

  @inline(__always)
  private func integer(
    _ value: Int, prefix: UInt8, _ form: UInt8, _ out: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    let mask = (1 << Int(prefix)) &- 1
    if value < mask {
      out.storeBytes(of: form | UInt8(truncatingIfNeeded: value), as: UInt8.self)
      return out + 1
    }
    var out = out
    out.storeBytes(of: form | UInt8(truncatingIfNeeded: mask), as: UInt8.self)
    out += 1
    var rest = value &- mask
    while rest >= 128 {
      out.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
      out += 1
      rest &>>= 7
    }
    out.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
    return out + 1
  }
}
