import MeshCore
import MeshHTTP

extension MessageHead {
  /// How an HTTP/2 message with a body is framed when it goes on as HTTP/1: by its declared length, else in chunks.
  var declaredFraming: BodyFraming {
    guard let text = value(.contentLength), (1...18).contains(text.count) else { return .chunked }
    var length: UInt64 = 0
    for digit in text {
      guard digit &- 0x30 < 10 else { return .chunked }
      length = length * 10 + UInt64(digit &- 0x30)
    }
    return .length(length)
  }
}
