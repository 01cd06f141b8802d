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
    return GRPCFrame.of(message.output)
  }

  package enum Answer: Equatable, Sendable {
    case allowed
    /// `quota` requests in a period; nil where the service does not say.
    case refused(quota: UInt32?, wait: TimeSpan?)
  }

  /// Reads a frame of gRPC with a `RateLimitResponse`. Nil for anything else, and for a code that is neither yes nor no.
  package static func answer(_ frame: [UInt8]) -> Answer? {
    guard let message = GRPCFrame.message(of: frame) else { return nil }
    var reader = ProtobufReader(message)
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
