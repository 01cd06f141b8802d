/// One message of gRPC with its prefix, as unary calls have it.
enum GRPCFrame {
  static func of(_ message: [UInt8]) -> [UInt8] {
    let count = message.count
    return [0] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + message
  }

  /// Nil unless the bytes are exactly one message that is not compressed.
  static func message(of frame: [UInt8]) -> ArraySlice<UInt8>? {
    guard frame.count >= 5, frame[0] == 0 else { return nil }
    let length = frame[1...4].reduce(0) { $0 << 8 | Int($1) }
    guard frame.count == 5 + length else { return nil }
    return frame[5...]
  }
}
