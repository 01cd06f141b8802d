package import MeshCore

/// The two messages of `envoy.service.ratelimit.v3`, as far as a client needs them. Written by hand: a request makes one of them, and there
/// are ten fields.
package enum RateLimitMessages {
  package static let path: StaticString = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
  /// Longer answers are not looked at.
  package static let maximumAnswerBytes = 16 * 1024

  package struct Pair: Equatable, Sendable {
    package var key: String
    package var value: [UInt8]

    package init(key: String, value: [UInt8]) {
      self.key = key
      self.value = value
    }
  }

  /// `RateLimitRequest` in a frame of gRPC.
  package static func request(domain: String, descriptors: [[Pair]], hits: UInt32) -> [UInt8] {
    var message = ProtobufWriter()
    message.bytes(1, Array(domain.utf8))
    for descriptor in descriptors {
      var part = ProtobufWriter()
      for pair in descriptor {
        var entry = ProtobufWriter()
        entry.bytes(1, Array(pair.key.utf8))
        entry.bytes(2, pair.value)
        part.bytes(1, entry.output)
      }
      message.bytes(2, part.output)
    }
    message.number(3, UInt64(hits))
    let count = message.output.count
    return [0] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + message.output
  }

  package enum Answer: Equatable, Sendable {
    case allowed
    /// `quota` requests in a period; nil where the service does not say.
    case refused(quota: UInt32?, wait: TimeSpan?)
  }

  /// Reads a frame of gRPC with a `RateLimitResponse`. Nil for anything else, and for a code that is neither yes nor no.
  package static func answer(_ frame: [UInt8]) -> Answer? {
    guard frame.count >= 5, frame[0] == 0 else { return nil }
    let length = frame[1...4].reduce(0) { $0 << 8 | Int($1) }
    guard frame.count == 5 + length else { return nil }
    var reader = ProtobufReader(frame[5...])
    var code: UInt64 = 0
    var worst: Status?
    while let field = reader.next() {
      switch (field.number, field.value) {
      case (1, .number(let number)): code = number
      case (2, .bytes(let bytes)):
        guard let status = Status(bytes) else { return nil }
        // The one that a client has to wait for longest.
        if status.isRefused, status.wait ?? .zero >= worst?.wait ?? .zero { worst = status }
      default: break
      }
    }
    guard reader.isAtEnd else { return nil }
    switch code {
    case 1: return .allowed
    case 2: return .refused(quota: worst?.quota, wait: worst?.wait)
    default: return nil
    }
  }

  /// `RateLimitResponse.DescriptorStatus`.
  private struct Status {
    var isRefused = false
    var quota: UInt32?
    var wait: TimeSpan?

    init?(_ bytes: ArraySlice<UInt8>) {
      var reader = ProtobufReader(bytes)
      while let field = reader.next() {
        switch (field.number, field.value) {
        case (1, .number(let code)): isRefused = code == 2
        case (2, .bytes(let limit)): quota = Self.number(1, of: limit).map { UInt32(clamping: $0) }
        case (4, .bytes(let duration)):
          wait = .seconds(Int64(clamping: min(Self.number(1, of: duration) ?? 0, 1 << 32)))
        default: break
        }
      }
      guard reader.isAtEnd else { return nil }
    }

    private static func number(_ wanted: Int, of bytes: ArraySlice<UInt8>) -> UInt64? {
      var reader = ProtobufReader(bytes)
      while let field = reader.next() {
        if field.number == wanted, case .number(let number) = field.value { return number }
      }
      return nil
    }
  }
}

/// Writes fields of a protobuf message.
struct ProtobufWriter {
  private(set) var output: [UInt8] = []

  mutating func number(_ field: Int, _ value: UInt64) {
    varint(UInt64(field) << 3)
    varint(value)
  }

  mutating func bytes(_ field: Int, _ value: [UInt8]) {
    varint(UInt64(field) << 3 | 2)
    varint(UInt64(value.count))
    output += value
  }

  private mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    output.append(UInt8(value))
  }
}

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
