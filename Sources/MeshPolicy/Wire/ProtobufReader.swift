/// Reads fields of a protobuf message that a peer sent, one by one. Ends early where it is broken.
struct ProtobufReader {
  enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// Of a kind that nobody here asks for.
    case other
  }

  private var rest: ArraySlice<UInt8>
  private var isBroken = false

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// All of it was read.
  var isAtEnd: Bool { rest.isEmpty && !isBroken }

  mutating func next() -> (number: Int, value: Value)? {
    guard !rest.isEmpty, !isBroken else { return nil }
    guard let tag = varint(), tag >> 3 > 0, tag >> 3 < 1 << 29 else { return broken() }
    let number = Int(tag >> 3)
    switch tag & 7 {
    case 0:
      guard let value = varint() else { return broken() }
      return (number, .number(value))
    case 1:
      guard take(8) != nil else { return broken() }
      return (number, .other)
    case 2:
      guard let length = varint(), length <= UInt64(rest.count), let value = take(Int(length)) else { return broken() }
      return (number, .bytes(value))
    case 5:
      guard take(4) != nil else { return broken() }
      return (number, .other)
    default: return broken()
    }
  }

  private mutating func broken() -> (number: Int, value: Value)? {
    isBroken = true
    return nil
  }

  private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func varint() -> UInt64? {
    var (value, shift) = (UInt64(0), UInt64(0))
    while let byte = rest.first, shift < 64 {
      rest = rest.dropFirst()
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}
