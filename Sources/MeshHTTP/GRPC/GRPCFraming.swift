package import MeshCore

/// The length-prefixed messages of gRPC over HTTP/2 (gRPC over HTTP2 specification, "Length-Prefixed-Message"):
/// one byte compressed flag, four bytes length in network order, the message.
package enum GRPCFraming {
  package enum Failure: Error, Equatable, Sendable {
    /// The message is longer than the limit given, in bytes.
    case messageTooLarge
    /// The compressed flag is set, and no compression was offered.
    case compressed
  }

  package static let prefixLength = 5

  /// Appends `message` with its prefix.
  package static func append(_ message: [UInt8], to queue: ByteQueue) {
    queue.append(0)
    let length = UInt32(message.count)
    for shift: UInt32 in [24, 16, 8, 0] { queue.append(UInt8(truncatingIfNeeded: length >> shift)) }
    queue.append(message)
  }

  /// Takes the next whole message out of `queue`, or returns nil when it is not complete.
  package static func next(
    _ queue: ByteQueue, maximumMessageBytes: Int
  ) throws(Failure) -> [UInt8]? {
    let bytes = queue.readable
    guard bytes.count >= prefixLength else { return nil }
    guard bytes[0] == 0 else { throw .compressed }
    let length = (1...4).reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard length <= maximumMessageBytes else { throw .messageTooLarge }
    guard bytes.count >= prefixLength + length else { return nil }
    let message = Array(bytes.slice(prefixLength, length))
    queue.consume(prefixLength + length)
    return message
  }
}
