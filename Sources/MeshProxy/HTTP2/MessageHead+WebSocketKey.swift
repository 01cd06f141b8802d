import MeshCore
import MeshHTTP

/// WebSocket over HTTP/2 has no key (RFC 8441, section 5.1); the HTTP/1 handshake that it becomes needs one.
extension MessageHead {
  private static let keyName: StaticString = "sec-websocket-key"
  private static let acceptName: StaticString = "sec-websocket-accept"

  /// Adds 16 random bytes in base64 (RFC 6455, section 4.1). False when the peer sent a key of its own.
  func addWebSocketKey(_ random: inout SeededRandom) -> Bool {
    let name = Self.bytes(Self.keyName)
    guard value(named: name) == nil else { return false }
    let digits: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { text in
      for place in 0..<22 {
        let sextet = Int(random.next() >> 58)
        // 128 bits are 21 digits and 2 bits: the last digit has four zeros behind them.
        text[place] = digits.utf8Start[place < 21 ? sextet : sextet & 0x30]
      }
      text[22] = 0x3D
      text[23] = 0x3D
      append(name: name, value: UnsafeRawBufferPointer(text))
    }
    return true
  }

  /// The proof that belongs to a key the client never saw.
  func removeWebSocketAccept() { remove(named: Self.bytes(Self.acceptName)) }

  private static func bytes(_ literal: StaticString) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
  }
}
