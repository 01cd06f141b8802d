/// The messages of `grpc.health.v1.Health/Check`, two fields in all. With their length prefixes.
package enum GRPCHealth {
  package static let path: StaticString = "/grpc.health.v1.Health/Check"
  /// Bytes of an answer that are looked at.
  package static let maximumAnswerBytes = 64

  /// `HealthCheckRequest { string service = 1; }`
  package static func request(service: String) -> [UInt8] {
    let name = Array(service.utf8)
    var message: [UInt8] = name.isEmpty ? [] : [0x0A]
    if !name.isEmpty {
      var length = name.count
      while length >= 0x80 {
        message.append(UInt8(truncatingIfNeeded: length) | 0x80)
        length >>= 7
      }
      message.append(UInt8(length))
      message += name
    }
    let count = UInt32(message.count)
    return [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + message
  }

  /// `HealthCheckResponse { ServingStatus status = 1; }` with SERVING = 1, uncompressed and without further fields, as nobody
  /// asked for any.
  package static func isServing(_ answer: [UInt8]) -> Bool { answer == [0, 0, 0, 0, 2, 0x08, 1] }
}
