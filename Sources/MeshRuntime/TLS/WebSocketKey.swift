internal import COpenSSL
package import MeshCore

/// The key of a WebSocket opening handshake and its proof (RFC 6455, sections 4.1 and 4.2.2). Allocates.
package enum WebSocketKey {
  private static let guid = Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)

  /// Sixteen random bytes in Base64. It is no secret: it only must differ from handshake to handshake.
  package static func random(_ random: inout SeededRandom) -> String {
    var bytes: [UInt8] = []
    for _ in 0..<2 { withUnsafeBytes(of: random.next() as UInt64) { bytes.append(contentsOf: $0) } }
    return base64(bytes)
  }

  /// What `Sec-WebSocket-Accept` must say for `key`.
  package static func accept(for key: UnsafeRawBufferPointer) -> String {
    let text = Array(key) + guid
    var digest = [UInt8](repeating: 0, count: 20)
    EVP_Digest(text, text.count, &digest, nil, EVP_sha1(), nil)
    return base64(digest)
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
    let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
    return String(decoding: text.prefix(Int(count)), as: UTF8.self)
  }
}
